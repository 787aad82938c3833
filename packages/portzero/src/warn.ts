// As it was when this was loaded: a test may replace it by a fake, and forget to bring it back.
const { warn: print } = console

/** Tells whoever reads the run. */
export function warn(sentence: string): void {
  print(`portzero: ${sentence}`)
}
