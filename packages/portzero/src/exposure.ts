/** Whether the warning was given. */
let isWarned = false

/** Warns, once in a process, of a server that other machines can reach. */
export function warnIfExposed(host: string): void {
  if (isWarned || isLoopback(host)) return
  isWarned = true
  console.warn(
    `portzero: a server listens on ${host}: whoever can reach that address of this machine can use the app, not the tests alone. ` +
      "Leave out the option 'host', or bind the address of a network of your own (Docker's bridge), if that is not meant.",
  )
}

function isLoopback(host: string): boolean {
  return /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+|(?:.+\.)?localhost)$/i.test(host)
}
