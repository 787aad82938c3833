import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { inWords } from './in-words.ts'
import type { Live } from './live-server.ts'
import type { InFlight } from './types.ts'

/** What happens when a test ends while requests that it made are still running. */
export type Lingering = 'wait' | 'warn' | 'fail'

/** Servers whose requests are told apart by test. */
const followed: Set<Live> = new Set()
const running: Set<string> = new Set()

/**
 * How long a request may take to end by itself once its test has, in ms: the test has its answer before the server hears that
 * it is delivered.
 */
const DELIVERY = 100

/** Tells a server which test is running, until `unfollow()`. */
export function follow(server: Live): void {
  followed.add(server)
  server.test = runningTest()
}

/** Tells a server of no further test. */
export function unfollow(server: Live): void {
  followed.delete(server)
}

/** A test begins: what servers are asked from now on is said to be its. */
export function testBegins(title: string): void {
  running.add(title)
  for (const server of followed) server.test = runningTest()
}

/** A test has ended. */
export function testEnds(title: string): void {
  running.delete(title)
  for (const server of followed) server.test = runningTest()
}

/**
 * Does with the requests of a test that are still running what `lingering` says: waits for them up to `grace` ms and warns
 * of those that are left, warns at once, or throws `LINGERING`.
 */
export async function settle(
  server: Live,
  title: string,
  lingering: Lingering,
  grace: number,
): Promise<void> {
  const left = (): InFlight[] =>
    server.inFlight().filter(({ kind, test = title }) => kind === 'request' && test === title)
  if (left().length === 0) return
  await settlesWithin(
    server.whenIdle(),
    lingering === 'wait' ? Math.max(grace, DELIVERY) : DELIVERY,
  )
  const requests = left()
  if (requests.length === 0) return
  const message = `The test "${title}" ended while ${server.url} was still at work on ${requests.map(inWords).join('; ')}.`
  if (lingering !== 'fail') return console.warn(`portzero: ${message}`)
  throw new PortzeroError(
    'LINGERING',
    `${message} Await in the test what it starts, or set the option 'lingering' to 'wait' or 'warn'.`,
  )
}

// Where several run at the same time, nothing tells which of them asks.
function runningTest(): string | undefined {
  return running.size === 1 ? [...running][0] : undefined
}
