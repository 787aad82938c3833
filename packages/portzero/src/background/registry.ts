import { readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { identify, isAlive } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { socketPath, stateDirectory, stateDirectoryFailed } from './state-directory.ts'

/**
 * `claiming`: it wants the name, and others may too. `starting`: it has the name. `ready`: the server runs. `died`: the server has
 * ended by itself, and the holder has not.
 */
type HeldState = 'claiming' | 'starting' | 'ready' | 'died'

/** Which servers a holder belongs to: those of one run of tests. */
export interface HeldScope {
  readonly kind: 'slot' | 'run'
  /** The process with which it ends. */
  readonly owner: ProcessIdentity
}

/** What a holder notes of itself. */
export interface HeldRecord {
  /** Of the form of this record. */
  readonly version: 1
  /** Of no other holder, at any time. */
  readonly id: string
  readonly name: string
  readonly state: HeldState
  readonly holder: ProcessIdentity
  readonly url?: string | undefined
  /** The app's own process. */
  readonly pid?: number | undefined
  /** In words. */
  readonly target: string
  readonly cwd: string
  /** As JSON has it. */
  readonly startedAt: string
  /** Milliseconds that its start may take. */
  readonly startTimeout: number
  readonly scope?: HeldScope | undefined
}

/** How long what belongs to no record may lie about, in ms: it may have been made a moment ago, for a record that is about to be. */
const STRAY = 60_000

const RECORD = /^(.+)\.([0-9a-f]{16})\.json$/
const BELONGING = /^(?:.+\.)?([0-9a-f]{16})\.(?:log|sock|new)$/

/**
 * What runs in the background for this user: a file for each holder, which it alone writes. The name of a file is never used again, so
 * that whoever finds one of a holder that is gone may remove it, however late.
 */
export class Registry {
  readonly #directory: string

  /** Throws `STATE_DIR_UNSAFE` or `STATE_DIR_FAILED`. */
  constructor(directory: string = stateDirectory()) {
    this.#directory = directory
  }

  /** What a holder prints goes there. */
  logOf({ id }: Pick<HeldRecord, 'id'>): string {
    return path.join(this.#directory, `${id}.log`)
  }

  socketOf({ id }: Pick<HeldRecord, 'id'>): string {
    return socketPath(this.#directory, id)
  }

  /** Writes a record as a whole, or writes it anew. Throws `STATE_DIR_FAILED`, with what was written before as it was. */
  write(record: HeldRecord): void {
    const file = this.#fileOf(record)
    const unfinished = path.join(this.#directory, `${record.id}.new`)
    try {
      writeFileSync(unfinished, JSON.stringify(record), { mode: 0o600 })
      renameSync(unfinished, file)
    } catch (cause) {
      rmSync(unfinished, { force: true })
      throw stateDirectoryFailed(this.#directory, cause)
    }
  }

  /** What lives, in the order of its names. Removes what is left of holders that are gone. */
  list(): HeldRecord[] {
    const files = readdirSync(this.#directory, { withFileTypes: true })
      // Whatever else lies there is not of ours.
      .filter((entry) => entry.isFile() || entry.isSocket())
      .map(({ name }) => name)
    const records = files.flatMap((file) => this.#read(file) ?? [])
    const living = records.filter((record) => isAlive(record.holder))
    for (const record of records) if (!living.includes(record)) this.remove(record)
    this.#removeStrays(files)
    return living.toSorted((a, b) => compare(a.name, b.name) || compare(a.id, b.id))
  }

  /** The record of a holder, as it is now; undefined if that is gone. */
  find({ id }: Pick<HeldRecord, 'id'>): HeldRecord | undefined {
    return this.list().find((record) => record.id === id)
  }

  /** Removes a record, and what belongs to it. */
  remove(record: HeldRecord): void {
    for (const file of [this.#fileOf(record), this.logOf(record)]) rmSync(file, { force: true })
    if (process.platform !== 'win32') rmSync(this.socketOf(record), { force: true })
  }

  #fileOf({ name, id }: Pick<HeldRecord, 'name' | 'id'>): string {
    return path.join(this.#directory, `${name}.${id}.json`)
  }

  #read(file: string): HeldRecord | undefined {
    if (!RECORD.test(file)) return undefined
    try {
      const record: unknown = JSON.parse(readFileSync(path.join(this.#directory, file), 'utf8'))
      return isRecord(record) && `${record.name}.${record.id}.json` === file ? record : undefined
    } catch {
      // It was removed meanwhile.
      return undefined
    }
  }

  /** What was made for a holder that was killed before it could note itself. */
  #removeStrays(files: readonly string[]): void {
    const noted = new Set(files.map((file) => RECORD.exec(file)?.[2]))
    for (const file of files) {
      const id = BELONGING.exec(file)?.[1]
      const whole = path.join(this.#directory, file)
      if (id !== undefined && !noted.has(id) && ageOf(whole) > STRAY) rmSync(whole, { force: true })
    }
  }
}

/** Whether all is there that is needed. What another version, or somebody else, has written is their affair. */
function isRecord(value: unknown): value is HeldRecord {
  const { version, state, holder, target } = (value ?? {}) as Partial<HeldRecord>
  return (
    version === 1 &&
    typeof state === 'string' &&
    typeof holder?.pid === 'number' &&
    typeof holder.start === 'string' &&
    typeof target === 'string'
  )
}

/** This process, for a record of it. */
export function ownIdentity(): ProcessIdentity {
  return identify(process.pid) ?? { pid: process.pid, start: '' }
}

function ageOf(file: string): number {
  try {
    return Date.now() - statSync(file).mtimeMs
  } catch {
    return 0
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
