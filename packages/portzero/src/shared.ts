/**
 * For authors of runner integrations: servers that several fixtures of one worker share, started for the first and closed by
 * the last.
 * @module
 */
import { performance } from 'node:perf_hooks'
import { PortzeroError } from './errors.ts'
import { describe } from './describe.ts'
import { toHeld } from './background/held-spec.ts'
import { Live } from './live-server.ts'
import { DEFAULTS, FIXTURES, checkSharedOptions } from './options.ts'
import { acquireScoped } from './scopes.ts'
import type { Scope } from './scopes.ts'
import { ScopedServer } from './scoped-server.ts'
import type { OnLoad } from './loading/load-reports.ts'
import { serveObserved } from './serve.ts'
import { forcedClose, tellingClose } from './slow-close.ts'
import { identifyTarget } from './target.ts'
import { follow, testBegins, testEnds, unfollow } from './test-watch.ts'
import type { Lingering } from './test-watch.ts'
import type {
  CloseReport,
  Factory,
  FactoryContext,
  LiveServer,
  ServeOptions,
  Target,
} from './types.ts'
import { warn } from './warn.ts'

export { DistantServer, addressOf } from './distant-server.ts'
export type { Address } from './distant-server.ts'
export { DEFAULTS } from './options.ts'
export { heedShared } from './background/run-end.ts'
export { ownAll } from './processes/watchdog.ts'
export { mainProcess } from './scopes.ts'
export type { Scope } from './scopes.ts'
export type { Lingering } from './test-watch.ts'

/** Whether a server that has died is started anew. */
export type Restart = 'never' | 'between-tests'

/** Options of a server that a runner starts; the slot and the worker are the runner's to say. */
export interface SharedOptions<Name extends string = string> extends Omit<
  ServeOptions,
  'slot' | 'workerId'
> {
  /**
   * Name of the fixture, for several servers side by side: `'api'` makes the fixtures `api` and `apiURL`.
   * @default 'server', with the fixtures `server` and `baseURL`
   */
  name?: Name | undefined
  /**
   * What happens when a test ends while requests that it made are still running: `'warn'` names them on stderr, `'fail'` fails
   * the test with `LINGERING`, `'wait'` waits for them, up to `grace` ms, and then warns. Event streams and WebSockets do not count.
   * @default 'warn'
   */
  lingering?: Lingering | undefined
  /**
   * What happens when the server's own process or thread has ended by itself. The test that was running fails with `SERVER_DIED`. With
   * `'never'` so do all later ones; with `'between-tests'` the next one has a new server, on the same port.
   * @default 'never'
   */
  restart?: Restart | undefined
  /**
   * Who shares the server. `'worker'`: each worker has its own, which ends with it. `'slot'`: the workers that follow one another in
   * a parallel slot, so that it outlives a worker that is replaced, after a failing test or for another file. `'run'`: all workers.
   * The last two are for what another process can start: a module by `URL` or path, a program, an ASGI app; its factory is told the
   * slot, and the worker `slot-0` or `run`. They end with the run, however that ends; `close()` in a test closes them for all, and
   * the next test that needs one has a new one.
   * @default 'worker'
   */
  scope?: Scope | undefined
}

/** What the factory of a fixture is told; `use` gives it the other servers. */
export interface SharedContext extends FactoryContext {
  /**
   * Another server's handle: `const { url } = await use(api)`, where `api` is what `liveServer()` returned.
   * It is started if it is not running, and outlives this one.
   */
  use(fixtures: object): Promise<LiveServer>
}

/** A server that is defined, and started when it is first needed. */
export interface Definition {
  readonly name: string
  /** The name of the fixture that holds its URL. */
  readonly urlName: string
  readonly target: Target<SharedContext>
  readonly lingering: Lingering
  readonly restart: Restart
  readonly scope: Scope
  /** What another process is told, where the scope needs one. */
  readonly held: ReturnType<typeof toHeld> | undefined
  readonly options: Omit<ServeOptions, 'slot' | 'workerId'>
}

/** What the runner knows when it needs a server. */
export interface Place {
  readonly slot: number
  readonly workerId: string
  /** The process with which the run ends. @default this one */
  readonly main?: number | undefined
  /** Milliseconds that the runner lets a start take, and what to do if that is too little. */
  readonly limit?: { readonly ms: number; readonly advice: string } | undefined
  /** Told of the path of each file outside of node_modules that an app in a thread or process has loaded; of the later ones too. */
  readonly onLoad?: OnLoad | undefined
}

/** One use of a shared server. Whoever acquired it releases it. */
export interface Lease {
  readonly server: LiveServer
  /** Closes the server if nobody else uses it, and then resolves to its report. Rejects as `close()` does. Idempotent. */
  release(): Promise<CloseReport | undefined>
}

interface Entry {
  readonly definition: Definition
  readonly place: Place
  readonly starting: Promise<LiveServer>
  /** Once it has started. */
  server: LiveServer | undefined
  users: number
}

const entries: Set<Entry> = new Set()
/** Servers of whose death a test has told. */
const told: WeakSet<LiveServer> = new WeakSet()
const definitions: WeakMap<object, Definition> = new WeakMap()

/**
 * Checks what `liveServer()`, or another `caller`, was given, and starts nothing.
 * Throws `INVALID_TARGET`, `INVALID_OPTION` or `UNKNOWN_OPTION`.
 */
export function define(
  target: Target<SharedContext>,
  options: SharedOptions = {},
  caller: string = FIXTURES,
): Definition {
  identifyTarget(target)
  checkSharedOptions(caller, options)
  const {
    name = 'server',
    lingering = 'warn',
    restart = 'never',
    scope = 'worker',
    ...rest
  } = options
  const urlName = name === 'server' ? 'baseURL' : `${name}URL`
  const held =
    scope === 'worker' ? undefined : toHeld(`${caller} with scope: '${scope}'`, target, rest)
  return { name, urlName, target, lingering, restart, scope, held, options: rest }
}

/** Lets the factories of other servers `use()` the server whose fixtures these are. */
export function offer<Fixtures extends object>(
  definition: Definition,
  fixtures: Fixtures,
): Fixtures {
  definitions.set(fixtures, definition)
  return fixtures
}

/**
 * A use of the server that is defined so: the one that runs in this process already, for the same name, target and options,
 * or a new one. Rejects as `serve()` does; the next use then tries again.
 */
export async function acquire(definition: Definition, place: Place): Promise<Lease> {
  const entry = find(definition) ?? open(definition, place)
  entry.users += 1
  try {
    const server = await entry.starting
    entry.server = server
    if (server instanceof ScopedServer && (await server.renew())) await follow(server)
    let released: Promise<CloseReport | undefined> | undefined
    return { server, release: () => (released ??= release(entry, server)) }
  } catch (error) {
    entries.delete(entry)
    throw error
  }
}

/**
 * Follows one test, for the servers that are defined so and run: call it when the test begins, and what it resolves to when the test
 * has ended; `key` is what the runner knows this test by. Both reject with `SERVER_DIED` if the server has ended by itself, the first
 * unless the option `restart` says otherwise; and the second with `LINGERING` if the option `lingering` says so. A test that is followed for
 * several has ended when the last of them is told, which then rejects for all. A hook that runs once for many tests has no `title`: nobody
 * answers for what it asks.
 */
export async function followTest(
  definition: Definition,
  key: object,
  title: string | undefined,
): Promise<() => Promise<void>> {
  const { lingering, restart, scope } = definition
  const { grace = DEFAULTS.grace } = definition.options
  const before = runningServer(definition)
  if (before instanceof ScopedServer) await before.renew()
  if (before?.died !== undefined) {
    if (restart === 'never') throw tell(before, before.died)
    await before.revive()
  }
  const server = (): Watched | undefined => runningServer(definition)
  if (title !== undefined) {
    await testBegins(key, title, { lingering, grace, isShared: scope === 'run', server })
  }
  return async () => {
    if (title !== undefined) await testEnds(key)
    const after = server()
    if (after?.died !== undefined) throw tell(after, after.died)
  }
}

/** A test has told that the server has died. */
function tell(server: LiveServer, death: PortzeroError): PortzeroError {
  told.add(server)
  return death
}

/** Nothing if it is still being started: whoever does not need it does not wait for it. */
function runningServer(definition: Definition): Watched | undefined {
  const server = find(definition)?.server
  return server !== undefined && isWatched(server) ? server : undefined
}

/** What can be looked into: all but what a `serve()` of another version has made. */
type Watched = Live | ScopedServer

function isWatched(server: LiveServer): server is Watched {
  return server instanceof Live || server instanceof ScopedServer
}

function find({ name, target, scope, options }: Definition): Entry | undefined {
  return [...entries].find(
    ({ definition }) =>
      definition.name === name &&
      definition.target === target &&
      definition.scope === scope &&
      haveSameValues(definition.options, options),
  )
}

function open(definition: Definition, place: Place): Entry {
  const starting = start(definition, place)
  const entry: Entry = { definition, place, starting, server: undefined, users: 0 }
  entries.add(entry)
  return entry
}

async function release(entry: Entry, server: LiveServer): Promise<CloseReport | undefined> {
  entry.users -= 1
  if (entry.users > 0) return undefined
  entries.delete(entry)
  if (isWatched(server)) unfollow(server)
  if (server instanceof ScopedServer) return letGo(entry, server)
  const { name } = entry.definition
  const report = await tellingClose(name, server, server.close(), warn)
  // To the end: a worker may be ended as soon as this is done.
  await log(entry, server, `closed ${howClosed(report)}`)
  const died = server instanceof Live ? server.died : undefined
  if (died === undefined) {
    if (report.outcome !== 'graceful') warn(forcedClose(name, server, report))
  } else if (!told.has(server)) throw died
  return report
}

/** The server goes on, for others. */
async function letGo(entry: Entry, server: ScopedServer): Promise<undefined> {
  const { died } = server
  await server.letGo()
  await log(entry, server, 'let go')
  if (died !== undefined && !told.has(server)) throw died
}

async function start(definition: Definition, place: Place): Promise<LiveServer> {
  const { options } = definition
  const { slot, workerId, limit, onLoad } = place
  const own = options.startTimeout ?? DEFAULTS.startTimeout
  const startTimeout = Math.min(own, limit?.ms ?? own)
  const startedAt = performance.now()
  try {
    const server =
      definition.held === undefined
        ? await serveObserved(
            withUse(definition.target, place),
            { ...options, startTimeout, slot, workerId },
            { loaded: onLoad },
          )
        : await acquireScoped(definition, place, startTimeout)
    if (isWatched(server)) await follow(server)
    void log(
      { definition, place },
      server,
      `started in ${(performance.now() - startedAt).toFixed(0)} ms`,
    )
    return server
  } catch (error) {
    const ranOut = performance.now() - startedAt >= startTimeout
    if (error instanceof PortzeroError && limit !== undefined && own > startTimeout && ranOut) {
      error.message += ` ${limit.advice}`
    }
    throw error
  }
}

/** Gives a factory the means to use other servers, until its own has closed. */
function withUse(target: Target<SharedContext>, place: Place): Target {
  const known = identifyTarget(target)
  if (known.kind !== 'factory') return target as Target
  const factory = known.factory as Factory<SharedContext>
  return (context: FactoryContext) => {
    const use = async (fixtures: object): Promise<LiveServer> => {
      const other = definitions.get(fixtures)
      if (other === undefined) {
        throw new PortzeroError(
          'INVALID_TARGET',
          `use() takes what liveServer() returned. Got ${describe(fixtures)}.`,
        )
      }
      const lease = await acquire(other, place)
      context.onClose(() => lease.release())
      return lease.server
    }
    return factory({ ...context, use })
  }
}

function haveSameValues(a: object, b: object): boolean {
  const given = (options: object): Record<string, unknown> =>
    Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  const [ours, theirs] = [given(a), given(b)]
  const names = Object.keys({ ...ours, ...theirs })
  return names.every((name) => Object.is(ours[name], theirs[name]))
}

function howClosed({ outcome, durationMs }: CloseReport): string {
  return `${outcome === 'graceful' ? 'gracefully' : 'by force'} in ${durationMs.toFixed(0)} ms`
}

/** With `PORTZERO_LOG` set, says on stderr what starts and closes, and where. */
async function log(
  { definition, place }: Pick<Entry, 'definition' | 'place'>,
  { url }: LiveServer,
  event: string,
): Promise<void> {
  if (!process.env['PORTZERO_LOG']) return
  const where = `slot ${place.slot}, worker ${place.workerId}`
  const line = `portzero: ${where}: ${definition.name} ${url} ${event}\n`
  await new Promise<void>((resolve) => process.stderr.write(line, () => resolve()))
}
