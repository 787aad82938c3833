import { truncateSync, writeSync } from 'node:fs'
import { KEPT_LINES } from '../processes/output.ts'

/** A log that is longer, in characters, begins anew with its last lines: where it lies there may be little room. */
const LONGEST = 5_000_000

const STDOUT = 1

/**
 * What a holder notes: it has the log as its stdout, opened to append, so that what Node itself has to say stands there too. What finds no
 * room on the disk is lost: the server goes on.
 */
export class HolderLog {
  /** The last lines that the server has printed, for those that come later. */
  readonly printed: string[] = []
  readonly #file: string
  #length = 0

  constructor(file: string) {
    this.#file = file
  }

  /** A line of the server's. */
  line(text: string): void {
    this.printed.push(text)
    if (this.printed.length > KEPT_LINES) this.printed.shift()
    this.#write(text)
  }

  /** Something that became of it. */
  event(text: string): void {
    this.#write(`portzero: ${text}`)
  }

  #write(text: string): void {
    if (this.#length > LONGEST) this.#beginAnew()
    this.#length += text.length + 1
    append(`${text}\n`)
  }

  #beginAnew(): void {
    const kept = this.printed.slice(0, -1).map((line) => `${line}\n`)
    const all = ['portzero: the log was too long, and begins anew\n', ...kept].join('')
    try {
      truncateSync(this.#file)
    } catch {
      // It was removed: nobody reads it.
    }
    this.#length = all.length
    append(all)
  }
}

/** As `process.stdout` does, which cannot be used any more once it has failed. */
function append(text: string): void {
  try {
    writeSync(STDOUT, text)
  } catch {
    // There may be room again later.
  }
}
