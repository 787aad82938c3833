import { readFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import type { HeldSpec } from './background/held-spec.ts'
import { identify } from './background/process-identity.ts'
import { Registry } from './background/registry.ts'
import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { ScopedServer, nameOf } from './scoped-server.ts'
import type { ScopedSpec } from './scoped-server.ts'

/** Who shares a server: nobody, the workers of a parallel slot, or all workers of a run. */
export type Scope = 'worker' | 'slot' | 'run'

/** How many lines of a log an error shows. */
const LINES = 50

/** What is defined, as far as it matters here. */
interface Scoped {
  readonly name: string
  readonly scope: Scope
  readonly restart: 'never' | 'between-tests'
  readonly held: Pick<HeldSpec, 'target' | 'title' | 'options'> | undefined
}

interface Place {
  readonly slot: number
  readonly main?: number | undefined
}

// When this was loaded. A process whose parent is gone is given another one.
const parent = process.ppid

/** The process that has started this worker, be it a thread of it, or a process that it has forked; else this one. */
export function mainProcess(): number {
  return isMainThread && process.connected ? parent : process.pid
}

/**
 * The server that the workers of this place share. It is started if it is not running; the start goes on when `limit` ms are over, and
 * whoever asks next may find it ready. Rejects with `START_TIMEOUT` then, and with the error of a start that fails; with `SERVER_DIED`
 * if it has, and is to stay so.
 */
export async function acquireScoped(
  definition: Scoped,
  place: Place,
  limit: number,
): Promise<ScopedServer> {
  const spec = specOf(definition, place)
  const acquiring = ScopedServer.acquire(spec)
  if (!(await settlesWithin(acquiring, limit))) {
    acquiring.then(
      (server) => server.letGo(),
      () => {},
    )
    throw overdue(spec, limit)
  }
  const server = await acquiring
  const { died } = server
  if (died === undefined) return server
  if (definition.restart === 'between-tests') {
    await server.revive()
    return server
  }
  await server.letGo()
  throw died
}

function specOf({ name, scope, held }: Scoped, { slot, main = process.pid }: Place): ScopedSpec {
  const owner = identify(main)
  if (owner === undefined || held === undefined || scope === 'worker') throw abandoned(main)
  const isSlot = scope === 'slot'
  const workerId = isSlot ? `slot-${slot}` : 'run'
  const options = { ...held.options, slot: isSlot ? slot : 0, workerId }
  return { ...held, options, fixture: name, scope: { kind: scope, owner } }
}

function abandoned(main: number): PortzeroError {
  return new PortzeroError(
    'START_FAILED',
    `The test runner, process ${main}, has ended: no server is started for it.`,
  )
}

function overdue(spec: ScopedSpec, ms: number): PortzeroError {
  return new PortzeroError(
    'START_TIMEOUT',
    `The server did not start within ${ms} ms: ${spec.title} is still being started, and may be ready for the next test.${lastOutput(spec)}`,
  )
}

/** What its holder has noted so far. */
function lastOutput(spec: ScopedSpec): string {
  try {
    const registry = new Registry()
    const name = nameOf(spec)
    const record = registry.list().find((one) => one.name === name)
    if (record === undefined) return ''
    const lines = readFileSync(registry.logOf(record), 'utf8').trim().split('\n')
    return ` Its last output:\n${lines.slice(-LINES).join('\n')}\n`
  } catch {
    return ''
  }
}
