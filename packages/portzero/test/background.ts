import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect } from 'vitest'
import { connect, list } from 'portzero'
import { carriersOf, until } from './processes.ts'

const PROGRAM = fileURLToPath(new URL('acts-in-background.js', import.meta.url))

/** What came of an act: what it resolved to, or the code of its error. */
export interface Outcome {
  readonly code?: string
  readonly message?: string
  readonly url?: string
  readonly answer?: string
  readonly outcome?: string
}

export interface Folder {
  readonly folder: string
  readonly state: string
  /** The files in the state directory. */
  files(): string[]
  /** Writes a module, and returns its path. */
  write(name: string, source: string): string
}

/**
 * A state directory and a folder for apps, for each test; after it nothing may be left: no process, and no file of one.
 */
export function useBackground(): Folder {
  const former = process.env['PORTZERO_STATE_DIR']
  const folder = mkdtempSync(path.join(tmpdir(), 'portzero-background-'))
  const state = path.join(folder, 'state')
  beforeEach(() => {
    mkdirSync(folder, { recursive: true })
    process.env['PORTZERO_STATE_DIR'] = state
  })
  afterEach(async () => {
    process.env['PORTZERO_STATE_DIR'] = state
    for (const { name } of await list()) {
      const server = await connect(name).catch(() => undefined)
      await server?.stop().catch(() => {})
    }
    await until(
      () => carriersOf(state).length === 0,
      () => carriersOf(state),
    )
    expect(existsSync(state) ? readdirSync(state) : []).toEqual([])
    rmSync(folder, { recursive: true })
    if (former === undefined) delete process.env['PORTZERO_STATE_DIR']
    else process.env['PORTZERO_STATE_DIR'] = former
  })
  return {
    folder,
    state,
    files: () => (existsSync(state) ? readdirSync(state) : []),
    write: (name, source) => {
      const file = path.join(folder, name)
      writeFileSync(file, source)
      return file
    },
  }
}

/** An app that says which process it is, and does what some paths ask for. */
export const APP = `
import { createServer } from 'node:http'
console.log('begins')
const open = []
createServer((request, response) => {
  if (request.url === '/dies') process.exit(3)
  if (request.url.startsWith('/holds')) return void open.push(response)
  if (request.url === '/lets-go') for (const one of open.splice(0)) one.end('held')
  if (request.url === '/late') return void setTimeout(() => response.end('late'), 200)
  if (request.url === '/blocks') for (;;);
  response.end(String(process.pid))
}).listen(3000)
`

/** Does it in a process of its own. */
export async function act(verb: string, name = '', target = ''): Promise<Outcome> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, verb, name, target])
  return JSON.parse(stdout) as Outcome
}
