import { performance } from 'node:perf_hooks'
import type { Readable } from 'node:stream'
import { turns } from '../turns.ts'

/** So many lines are kept. */
export const KEPT_LINES = 200

/** A line is cut off after so many characters. */
const LENGTH = 2_000

/** What was written before an end is read for so long, in ms, if others that hold the pipe go on writing. */
const DRAIN = 100

type Listener = (line: string) => void

/** The last lines that a child process wrote, to stdout and stderr, in the order in which they arrived. */
export class Output {
  readonly #complete: string[] = []
  readonly #pipes: Pipe[] = []
  readonly #listeners = new Set<Listener>()

  /** Reads it until `end()`. */
  add(stream: Readable): void {
    this.#pipes.push(new Pipe(stream, (line) => this.#keep(line)))
  }

  /** The last 200, the oldest first. A line that is not complete yet is included, as far as it has come. */
  get lines(): readonly string[] {
    const begun = this.#pipes.map((pipe) => pipe.begun).filter((line) => line !== '')
    return [...this.#complete, ...begun].slice(-KEPT_LINES)
  }

  /** The last `count` lines, as one text. */
  text(count: number = KEPT_LINES): string {
    return count > 0 ? this.lines.slice(-count).join('\n') : ''
  }

  /** Calls `listener` with each line that comes from now on, when it is complete. Returns how to stop that. */
  onLine(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /**
   * Reads what is there, and lets go of the pipes. Does not wait for their end: whoever inherited them may hold them for as
   * long as it lives.
   */
  async end(): Promise<void> {
    await this.read()
    for (const pipe of this.#pipes) pipe.end()
  }

  /** Reads what is there. */
  async read(): Promise<void> {
    const startedAt = performance.now()
    let seen: number
    do {
      seen = this.#received()
      await turns(2)
    } while (this.#received() > seen && performance.now() - startedAt < DRAIN)
  }

  #received(): number {
    return this.#pipes.reduce((sum, pipe) => sum + pipe.received, 0)
  }

  #keep(line: string): void {
    this.#complete.push(line)
    if (this.#complete.length > KEPT_LINES) this.#complete.shift()
    for (const listener of this.#listeners) listener(line)
  }
}

/** Makes lines of what comes from one stream. */
class Pipe {
  /** The line that is not complete yet. */
  begun = ''
  /** In characters. */
  received = 0
  readonly #stream: Readable
  readonly #emit: Listener

  constructor(stream: Readable, emit: Listener) {
    this.#stream = stream
    this.#emit = emit
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => this.#take(text))
    stream.on('end', () => this.#flush())
    // What was written before it broke is all that there is.
    stream.on('error', () => {})
  }

  end(): void {
    this.#stream.destroy()
    this.#flush()
  }

  #take(text: string): void {
    this.received += text.length
    const [first = '', ...others] = text.split('\n')
    this.#append(first)
    for (const line of others) {
      this.#complete()
      this.#append(line)
    }
  }

  /** One character more than is kept tells that there was more. */
  #append(text: string): void {
    this.begun += text.slice(0, LENGTH + 1 - this.begun.length)
  }

  #complete(): void {
    const line = this.begun.endsWith('\r') ? this.begun.slice(0, -1) : this.begun
    this.begun = ''
    this.#emit(line.length > LENGTH ? `${line.slice(0, LENGTH)}…` : line)
  }

  #flush(): void {
    if (this.begun !== '') this.#complete()
  }
}
