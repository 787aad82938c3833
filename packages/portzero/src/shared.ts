/**
 * For authors of runner integrations: servers that several fixtures of one worker share, started for the first and closed by
 * the last.
 * @module
 */
import { performance } from 'node:perf_hooks'
import { PortzeroError } from './errors.ts'
import { clearTimeout, setTimeout } from 'node:timers'
import { describe } from './describe.ts'
import { inWords } from './in-words.ts'
import { Live } from './live-server.ts'
import { DEFAULTS, checkSharedOptions } from './options.ts'
import { serve } from './serve.ts'
import { identifyTarget } from './target.ts'
import { follow, settle, testBegins, testEnds, unfollow } from './test-watch.ts'
import type { Lingering } from './test-watch.ts'
import type {
  CloseReport,
  Factory,
  FactoryContext,
  LiveServer,
  ServeOptions,
  Target,
} from './types.ts'

export { DEFAULTS } from './options.ts'
export type { Lingering } from './test-watch.ts'

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
  readonly options: Omit<ServeOptions, 'slot' | 'workerId'>
}

/** What the runner knows when it needs a server. */
export interface Place {
  readonly slot: number
  readonly workerId: string
  /** Milliseconds that the runner lets a start take, and what to do if that is too little. */
  readonly limit?: { readonly ms: number; readonly advice: string } | undefined
}

/** One use of a shared server. Whoever acquired it releases it. */
export interface Lease {
  readonly server: LiveServer
  /** Closes the server if nobody else uses it, and then resolves to its report. Rejects as `close()` does. Idempotent. */
  release(): Promise<CloseReport | undefined>
}

/** After how many ms a close says what it waits for. */
const SLOW = 250

interface Entry {
  readonly definition: Definition
  readonly place: Place
  readonly server: Promise<LiveServer>
  users: number
}

const entries: Set<Entry> = new Set()
const definitions: WeakMap<object, Definition> = new WeakMap()

/**
 * Checks what `liveServer()`, or another `caller`, was given, and starts nothing.
 * Throws `INVALID_TARGET`, `INVALID_OPTION` or `UNKNOWN_OPTION`.
 */
export function define(
  target: Target<SharedContext>,
  options: SharedOptions = {},
  caller = 'liveServer()',
): Definition {
  identifyTarget(target)
  checkSharedOptions(caller, options)
  const { name = 'server', lingering = 'warn', ...rest } = options
  const urlName = name === 'server' ? 'baseURL' : `${name}URL`
  return { name, urlName, target, lingering, options: rest }
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
    const server = await entry.server
    let released: Promise<CloseReport | undefined> | undefined
    return { server, release: () => (released ??= release(entry, server)) }
  } catch (error) {
    entries.delete(entry)
    throw error
  }
}

/**
 * Follows one test, for the servers that are defined so and run: call it when the test begins, and what it returns when the test
 * has ended. That rejects with `LINGERING` if the option `lingering` says so.
 */
export function followTest(definition: Definition, title: string): () => Promise<void> {
  testBegins(title)
  return async () => {
    testEnds(title)
    const server = await find(definition)?.server.catch(() => undefined)
    const { lingering, options } = definition
    if (server instanceof Live) {
      await settle(server, title, lingering, options.grace ?? DEFAULTS.grace)
    }
  }
}

function find({ name, target, options }: Definition): Entry | undefined {
  return [...entries].find(
    ({ definition }) =>
      definition.name === name &&
      definition.target === target &&
      haveSameValues(definition.options, options),
  )
}

function open(definition: Definition, place: Place): Entry {
  const entry: Entry = { definition, place, server: start(definition, place), users: 0 }
  entries.add(entry)
  return entry
}

async function release(entry: Entry, server: LiveServer): Promise<CloseReport | undefined> {
  entry.users -= 1
  if (entry.users > 0) return undefined
  entries.delete(entry)
  if (server instanceof Live) unfollow(server)
  const slow = setTimeout(() => console.warn(slowClose(entry.definition, server)), SLOW)
  const report = await server.close().finally(() => clearTimeout(slow))
  // To the end: a worker may be ended as soon as this is done.
  await log(entry, server, `closed ${howClosed(report)}`)
  if (report.outcome !== 'graceful') console.warn(forcedClose(entry.definition, server, report))
  return report
}

async function start(definition: Definition, place: Place): Promise<LiveServer> {
  const { options } = definition
  const { slot, workerId, limit } = place
  const own = options.startTimeout ?? DEFAULTS.startTimeout
  const startTimeout = Math.min(own, limit?.ms ?? own)
  const startedAt = performance.now()
  try {
    const target = withUse(definition.target, place)
    const server = await serve(target, { ...options, startTimeout, slot, workerId })
    if (server instanceof Live) follow(server)
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

/** What a close that takes its time waits for. */
function slowClose({ name }: Definition, server: LiveServer): string {
  const requests = server.inFlight().map(inWords)
  const reason = requests.length > 0 ? requests.join('; ') : 'its close hooks'
  return `portzero: ${name} ${server.url} is closing, and waits for ${reason}.`
}

/** One paragraph for whoever reads the run: what was cut off. */
function forcedClose({ name }: Definition, { url }: LiveServer, report: CloseReport): string {
  const blockers = report.blockers.map(inWords).join('; ')
  return `portzero: ${name} ${url} was closed by force after ${report.durationMs.toFixed(0)} ms. In its way: ${blockers}.`
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
