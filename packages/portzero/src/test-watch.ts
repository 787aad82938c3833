import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { inWords } from './in-words.ts'
import type { InFlight } from './types.ts'

/** What happens when a test ends while requests that it made are still running. */
export type Lingering = 'wait' | 'warn' | 'fail'

/** How requests that are still running are dealt with. */
interface Settling {
  readonly lingering: Lingering
  readonly grace: number
  /** Whether other workers use the server at the same time. */
  readonly isShared: boolean
}

/** A server whose requests are told apart by test. */
export interface Followed {
  readonly url: string
  /** Says which tests run. Resolves when it is known to the server. */
  tests(titles: readonly string[]): Promise<void>
  inFlight(): readonly InFlight[]
  /** Resolves when nothing is in flight, however long that takes. */
  whenIdle(): Promise<void>
}

const followed: Set<Followed> = new Set()
const running: Set<string> = new Set()

/**
 * How long a request may take to end by itself once its test has, in ms: the test has its answer before the server hears that
 * it is delivered.
 */
const DELIVERY = 100

/** Tells a server which tests are running, until `unfollow()`. */
export async function follow(server: Followed): Promise<void> {
  followed.add(server)
  await server.tests([...running])
}

/** Tells a server of no further test. */
export function unfollow(server: Followed): void {
  followed.delete(server)
}

/** A test begins: what servers are asked from now on is said to be its. */
export async function testBegins(title: string): Promise<void> {
  running.add(title)
  await tellAll()
}

/** A test has ended. */
export async function testEnds(title: string): Promise<void> {
  running.delete(title)
  await tellAll()
}

async function tellAll(): Promise<void> {
  const titles = [...running]
  await Promise.all([...followed].map((server) => server.tests(titles)))
}

/**
 * Does with the requests of a test that are still running what `lingering` says: waits for them up to `grace` ms and warns
 * of those that are left, warns at once, or throws `LINGERING`.
 */
export async function settle(
  server: Followed,
  title: string,
  { lingering, grace, isShared }: Settling,
): Promise<void> {
  // What nobody is known to have asked may be another worker's, where there are several.
  const unknown = isShared ? undefined : title
  const left = (): InFlight[] =>
    server.inFlight().filter(({ kind, test = unknown }) => kind === 'request' && test === title)
  if (left().length === 0) return
  await settlesWithin(
    server.whenIdle(),
    lingering === 'wait' ? Math.max(grace, DELIVERY) : DELIVERY,
  )
  const requests = left()
  if (requests.length === 0) return
  const message = `The test "${title}" ended while ${server.url} was still at work on ${requests.map(withoutTest).map(inWords).join('; ')}.`
  if (lingering !== 'fail') return console.warn(`portzero: ${message}`)
  throw new PortzeroError(
    'LINGERING',
    `${message} Await in the test what it starts, or set the option 'lingering' to 'wait' or 'warn'.`,
  )
}

function withoutTest({ test: _test, ...request }: InFlight): InFlight {
  return request
}
