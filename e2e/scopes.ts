import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { carriersOf, within } from './orphans/processes.ts'

/** How long what is shared may outlive its run, in ms. */
const LIMIT = 15_000

/** A place where what is shared is noted, and the starts of servers. Whoever makes it removes it. */
export class ScopesFolder implements AsyncDisposable {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async make(): Promise<ScopesFolder> {
    return new ScopesFolder(await mkdtemp(join(tmpdir(), 'portzero-scopes-')))
  }

  get env(): { PORTZERO_STATE_DIR: string; STARTS: string } {
    return {
      PORTZERO_STATE_DIR: join(this.#folder, 'state'),
      STARTS: join(this.#folder, 'starts'),
    }
  }

  /** What servers were told when they started, in the order of their places. */
  get starts(): string[] {
    const { STARTS } = this.env
    if (!existsSync(STARTS)) return []
    return readFileSync(STARTS, 'utf8').trim().split('\n').toSorted()
  }

  /** Nothing outlives the run: neither a process nor what is noted of one. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { PORTZERO_STATE_DIR: state } = this.env
    const noted = (): string[] => (existsSync(state) ? readdirSync(state) : [])
    await within(LIMIT, () => carriersOf([state]).length === 0 && noted().length === 0)
    expect({ processes: carriersOf([state]), noted: noted() }).toEqual({ processes: [], noted: [] })
    await rm(this.#folder, { recursive: true })
  }
}
