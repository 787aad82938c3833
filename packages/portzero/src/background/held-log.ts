import { closeSync, fstatSync, openSync, readSync, watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { never } from '../deadline.ts'
import { findHeld, notRunning } from './find-held.ts'
import { HolderConnection } from './holder-connection.ts'
import { Registry } from './registry.ts'
import type { HeldRecord } from './registry.ts'

/** So many bytes are read at once. */
const CHUNK = 65_536

/** What a server in the background has printed, and prints. Whoever opens it closes it. */
export class HeldLog {
  readonly #registry: Registry = new Registry()
  readonly #record: HeldRecord
  readonly #path: string
  readonly #file: number
  readonly #decoder: StringDecoder = new StringDecoder('utf8')
  #position = 0
  #begun = ''

  /** Throws `NOT_RUNNING`. */
  constructor(name: string) {
    this.#record = findHeld(this.#registry, name)
    this.#path = this.#registry.logOf(this.#record)
    try {
      this.#file = openSync(this.#path, 'r')
    } catch {
      throw notRunning(name, this.#registry)
    }
  }

  /** The complete lines that have come since it was called last. */
  read(): string[] {
    const lines: string[] = []
    const buffer = Buffer.alloc(CHUNK)
    // It was too long, and begins anew.
    if (fstatSync(this.#file).size < this.#position) this.#position = 0
    for (;;) {
      const length = readSync(this.#file, buffer, 0, CHUNK, this.#position)
      if (length === 0) return lines
      this.#position += length
      const [first = '', ...others] = this.#decoder.write(buffer.subarray(0, length)).split('\n')
      this.#begun += first
      for (const next of others) {
        lines.push(this.#begun)
        this.#begun = next
      }
    }
  }

  /**
   * Calls `changed` at once and when there may be more to read, for the last time when the holder has ended or `enough` settles, and then
   * resolves.
   */
  async follow(changed: () => void, enough: Promise<unknown> = never()): Promise<void> {
    const connection = new HolderConnection(this.#registry.socketOf(this.#record))
    const watching = this.#watch(changed)
    // What came since it was read last, and before it was watched.
    changed()
    await Promise.race([connection.lost, enough])
    watching?.close()
    connection.end()
    changed()
  }

  // Once it was removed there is nothing to watch; what is in it can still be read.
  #watch(changed: () => void): FSWatcher | undefined {
    try {
      return watch(this.#path, changed).on('error', () => {})
    } catch {
      return undefined
    }
  }

  close(): void {
    closeSync(this.#file)
  }
}
