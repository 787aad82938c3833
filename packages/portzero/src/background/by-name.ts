import { checkStartOptions } from '../options.ts'
import type {
  CloseOptions,
  CloseReport,
  ConnectedServer,
  ServerEntry,
  StartOptions,
  Target,
} from '../types.ts'
import type { Connected } from './connected-server.ts'
import { findHeld, notRunning } from './find-held.ts'
import { toHeld } from './held-spec.ts'
import { connectTo, hold } from './hold.ts'
import { giveUp } from './holder-connection.ts'
import { Registry } from './registry.ts'
import type { HeldRecord } from './registry.ts'

/** So often a server that ends just when it is found is looked for again. */
const TRIES = 20

/**
 * Starts a server in the background, under a name by which every process of this user finds it, and resolves when it is ready. It has the
 * working directory and the environment of this process, and outlives it: `stop()` ends it, or the command `portzero stop`.
 *
 * ```ts
 * await start({ command: 'npm start' }, { name: 'api' })
 * // In another process:
 * await using api = await connect('api')
 * ```
 *
 * The target is a module by URL or path, a program, or an ASGI app. Throws a `PortzeroError`: `INVALID_TARGET`, `INVALID_OPTION`, `UNKNOWN_OPTION`,
 * `STATE_DIR_UNSAFE`, `STATE_DIR_FAILED` before anything is started; `NAME_TAKEN`; and what `serve()` throws. A start that fails leaves nothing.
 */
export async function start(target: Target, options: StartOptions): Promise<ConnectedServer> {
  checkStartOptions(options)
  const { name, ...rest } = options
  return hold({ name, ...toHeld('start()', target, rest) })
}

/**
 * A handle of the server that runs in the background under this name. One that is being started is waited for.
 * Throws `NOT_RUNNING` if there is none, and the error of a start that fails.
 */
export async function connect(name: string): Promise<ConnectedServer> {
  return connectByName(name)
}

/** The same, with what is not public. */
export async function connectByName(name: string): Promise<Connected> {
  const registry = new Registry()
  for (let tries = 1; ; tries += 1) {
    const record = findHeld(registry, name)
    const server = await connectTo(registry, record)
    if (server !== undefined) return server
    if (tries === TRIES) throw notRunning(name, registry)
  }
}

/** How a server was ended by its name. */
export interface Ended {
  readonly report: CloseReport
  /** It had ended by itself before. */
  readonly hadDied: boolean
}

/** Ends a server by its name, also one that is still being started. Throws `NOT_RUNNING`, and what `stop()` of its handle does. */
export async function stopByName(name: string, options: CloseOptions): Promise<Ended> {
  const registry = new Registry()
  const record = findHeld(registry, name)
  if (record.state === 'starting') {
    return { report: await giveUp(registry.socketOf(record)), hadDied: false }
  }
  const server = await connectByName(name)
  const hadDied = server.died !== undefined
  return { report: await server.stop(options), hadDied }
}

/** The servers that run in the background; with `all` also those that test runners share among their workers. */
export async function list({ all = false }: { all?: boolean } = {}): Promise<ServerEntry[]> {
  const registry = new Registry()
  return registry
    .list()
    .filter(({ scope }) => all || scope === undefined)
    .map((record) => entryOf(record, registry.logOf(record)))
}

function entryOf(record: HeldRecord, log: string): ServerEntry {
  const { name, state, url, pid, holder, target, cwd, startedAt, scope } = record
  return {
    name,
    state: state === 'claiming' ? 'starting' : state,
    url,
    pid,
    holderPid: holder.pid,
    target,
    cwd,
    log,
    startedAt: new Date(startedAt),
    scope: scope?.kind,
  }
}
