/** Takes what is written behind an end, as if it had been sent. `args` are those of `write()` or `end()`. */
export function drop(args: unknown[]): true {
  const callback = args.at(-1)
  if (typeof callback === 'function') process.nextTick(callback)
  return true
}
