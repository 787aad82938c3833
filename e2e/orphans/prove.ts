import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import type { TestContext } from 'vitest'
import { clean } from '../run-project.ts'
import { SIGNALS } from './cases.ts'
import type { Case } from './cases.ts'
import { stateIn } from './noted.ts'
import { carriersOf, childrenOf, end, isAlive, listening, within } from './processes.ts'
import type { Process } from './processes.ts'

/** What runs the project whose server must not be left behind. */
export interface Program {
  readonly args: readonly string[]
  readonly cwd: string
  /** Who gets the signal: what was started, or who has called `serve()`. */
  readonly victim: 'program' | 'owner'
  /** Says when the owner lives on: then all goes on, and comes to its usual end. */
  readonly goesOn?: (one: Case) => boolean
  /** Where it is not the victim that holds the server, but a process for a slot, or for the run. */
  readonly scope?: 'slot' | 'run'
}

/** What is there when the owner has ended. */
export interface Left {
  readonly processes: readonly Process[]
  /** Inodes of sockets that still listen. */
  readonly sockets: readonly number[]
}

/** What the project tells. */
interface Told {
  readonly event: string
  readonly pid: number
  readonly owner?: number
  readonly inode?: number
  readonly marker?: string
}

export const NOTHING: Left = { processes: [], sockets: [] }

/** How long a run may take to come to the moment, in ms. */
const COMING = 60_000

/** How long what got a signal, or its runner, may take to end by itself, in ms. */
const ENDING = 25_000

/** How long anything may be left once the owner has ended, in ms. */
const LEFT = 15_000

/** Runs the program, ends the owner at the moment, and resolves to what is left of it, once that is nothing or the time is up. */
export async function leftBy(
  { args, cwd, victim, goesOn, scope }: Program,
  one: Case,
  { expect, skip, onTestFinished, onTestFailed }: TestContext,
): Promise<Left> {
  skip(process.platform !== 'linux', 'not run: orphans (only Linux shows all processes, in /proc)')
  const { ending, moment, kind } = one
  const run = randomUUID()
  const control = new Control(run)
  const known: Process[] = []
  onTestFinished(() => {
    control.close()
    for (const left of [...carriersOf([run, ...control.leases]), ...known]) end(left)
  })

  const child = spawn(process.execPath, args, {
    cwd,
    env: {
      ...clean(process.env),
      ORPHANS_RUN: run,
      ORPHANS_CONTROL: await control.listen(),
      ORPHANS_KIND: kind,
      ORPHANS_MOMENT: moment,
      PORTZERO_STATE_DIR: stateIn(cwd),
      ...(scope !== undefined && { ORPHANS_SCOPE: scope }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => void output.push(text))
  }
  onTestFailed(() => console.error(output.join('')))
  const family = kind === 'has a detached grandchild' ? ['child', 'grandchild'] : ['child']
  await Promise.race([control.heard(['owner', ...family, moment], COMING), tooSoon(exited)])

  const { owner, inodes } = control
  const carriers = carriersOf([run])
  const watchdogs = childrenOf(carriers, 'portzero-watchdog')
  known.push(...carriers, ...watchdogs)
  const owners = carriers.filter(({ pid }) => pid === owner)
  expect(owners).toHaveLength(1)
  expect(watchdogs.length).toBeGreaterThan(0)
  expect(inodes).toHaveLength(1)
  expect(control.has('closed')).toBe(false)

  const isSignal = SIGNALS.some((signal) => signal === ending)
  if (isSignal) process.kill(victim === 'program' ? child.pid! : owner, ending)
  else control.order(ending, (pid) => pid === owner)
  if (goesOn?.(one) === true) {
    // On Ctrl-C a runner waits for its workers.
    if (isSignal && ending !== 'SIGINT' && victim === 'program') await exited
    control.order('go on', (pid) => isSignal || pid !== owner)
  }

  // The process that holds a shared server looks for the end of the runner, and ends after it.
  if (scope !== undefined)
    await within(ENDING, () => child.exitCode !== null || child.signalCode !== null)
  else await within(ENDING, () => !owners.some(isAlive))
  const startedAt = performance.now()
  const left = (texts: readonly string[]): Left => ({
    processes: [...carriersOf(texts), ...watchdogs.filter(isAlive)],
    sockets: listening(inodes),
  })
  const isNothing = ({ processes, sockets }: Left): boolean =>
    processes.length + sockets.length === 0
  // What the owner has started, first: it has to be gone at once. Runners take their time.
  if (!(await within(LEFT, () => isNothing(left(control.leases))))) return left(control.leases)
  note(
    `${scope ?? victim}: ${ending}, ${moment}, ${kind}: ${(performance.now() - startedAt).toFixed()} ms`,
  )
  await within(ENDING, () => isNothing(left([run])))
  return left([run])
}

async function tooSoon(exited: Promise<unknown>): Promise<never> {
  await exited
  throw new Error('It ended before the moment came.')
}

/** Writes to a file, if one is named, how long the owner's children outlived it. */
function note(line: string): void {
  const file = process.env['ORPHANS_TIMES']
  if (file) appendFileSync(file, line + '\n')
}

/** Hears what the processes of a run tell. */
class Control {
  readonly #path: string
  readonly #all: (Told & { connection: Socket })[] = []
  readonly #waiting = new Set<() => void>()
  readonly #connections = new Set<Socket>()
  readonly #server = createServer((connection) => {
    this.#connections.add(connection)
    const lines = createInterface({ input: connection })
    // Whoever is told to end may be gone before it hears. Of a failure of the connection the lines are told too, as one of theirs.
    for (const emitter of [connection, lines]) emitter.on('error', () => {})
    lines.on('line', (line) => {
      this.#all.push({ ...(JSON.parse(line) as Told), connection })
      for (const look of this.#waiting) look()
    })
  })

  constructor(run: string) {
    this.#path = join(tmpdir(), `portzero-${run}.sock`)
  }

  async listen(): Promise<string> {
    this.#server.listen(this.#path)
    await once(this.#server, 'listening')
    return this.#path
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy()
    this.#server.close()
  }

  has(event: string): boolean {
    return this.#all.some((told) => told.event === event)
  }

  /** Who started the child. Also others load the files of tests: Playwright's runner does. */
  get owner(): number {
    return this.#all.find((told) => told.owner !== undefined)?.owner ?? 0
  }

  order(what: string, isMeant: (pid: number) => boolean): void {
    const heard = this.#all.filter(({ pid }) => isMeant(pid))
    for (const connection of new Set(heard.map((told) => told.connection))) connection.write(what)
  }

  get inodes(): number[] {
    return this.#all.flatMap(({ inode }) => inode ?? [])
  }

  /** What stands in the marker of the children, and in the command line of the watchdog. */
  get leases(): string[] {
    return this.#all.flatMap(({ marker }) => marker?.split(' ') ?? [])
  }

  /** Resolves when all of that is told. */
  heard(events: readonly string[], limit: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const told = this.#all.map(({ event }) => event)
        reject(new Error(`Of ${events.join(', ')} was told within ${limit} ms: ${told.join(', ')}`))
      }, limit)
      const look = (): void => {
        if (!events.every((event) => this.has(event))) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}
