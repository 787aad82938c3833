import { performance } from 'node:perf_hooks'
import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { inWords } from './in-words.ts'
import { TURNS, turns } from './turns.ts'
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
  /** Resolves when the next of what is in flight has ended, or earlier. */
  ended(): Promise<void>
}

/** A test that runs, or has just ended. */
export interface RunningTest {
  readonly title: string
  readonly beganAt: number
  /** Those that ran at the same time, if any: nothing tells what is theirs. */
  company: Company | undefined
  /** True if none of them was left when it ended. */
  isLast: boolean
}

interface Company {
  readonly titles: string[]
  readonly since: number
}

const followed: Set<Followed> = new Set()
/** By what the runner knows each by: titles come twice, and so do tests that are tried again. */
const running: Map<object, RunningTest> = new Map()

/**
 * How long a request may take to end by itself once its test has, in ms: the test has its answer before the server hears that
 * it is delivered.
 */
const DELIVERY = 100

/** Tells a server which tests are running, until `unfollow()`. */
export async function follow(server: Followed): Promise<void> {
  followed.add(server)
  await server.tests(titlesOf(running.values()))
}

/** Tells a server of no further test. */
export function unfollow(server: Followed): void {
  followed.delete(server)
}

/** A test begins: what servers are asked from now on is said to be its. Several servers may follow the same one. */
export async function testBegins(key: object, title: string): Promise<RunningTest> {
  const known = running.get(key)
  if (known !== undefined) return known
  const beganAt = performance.now()
  const [other] = running.values()
  const test: RunningTest = { title, beganAt, company: undefined, isLast: false }
  running.set(key, test)
  if (other !== undefined) {
    const company = other.company ?? { titles: [other.title], since: other.beganAt }
    company.titles.push(title)
    for (const each of running.values()) each.company = company
  }
  await tellAll()
  return test
}

/** A test has ended. What it has sent by now is still its. */
export async function testEnds(key: object): Promise<void> {
  const test = running.get(key)
  if (test === undefined) return
  running.delete(key)
  test.isLast = running.size === 0
  await tellAll()
}

async function tellAll(): Promise<void> {
  const titles = titlesOf(running.values())
  // What a client of this process was asked to send is on its way by then.
  await turns(TURNS)
  await Promise.all([...followed].map((server) => server.tests(titles)))
}

function titlesOf(tests: Iterable<RunningTest>): string[] {
  return [...tests].map(({ title }) => title)
}

/**
 * Does with the requests of a test that are still running what `lingering` says: waits for them up to `grace` ms and warns
 * of those that are left, warns at once, or throws `LINGERING`. Of tests that ran at the same time the last answers for all.
 */
export async function settle(
  server: Followed,
  test: RunningTest,
  { lingering, grace, isShared }: Settling,
): Promise<void> {
  const { title, beganAt, company, isLast } = test
  const left = (): InFlight[] => {
    const now = performance.now()
    return server.inFlight().filter((request) => {
      if (request.kind !== 'request') return false
      if (request.test !== undefined)
        return request.test === title && request.ageMs <= now - beganAt
      // What nobody is known to have asked may be another worker's, where there are several.
      if (isShared || (company !== undefined && !isLast)) return false
      return request.ageMs <= now - (company?.since ?? beganAt)
    })
  }
  const limit = lingering === 'wait' ? Math.max(grace, DELIVERY) : DELIVERY
  const deadline = performance.now() + limit
  const ended = async (): Promise<void> => {
    while (left().length > 0 && performance.now() < deadline) await server.ended()
  }
  await settlesWithin(ended(), limit)
  const requests = left()
  if (requests.length === 0) return
  const tests =
    company === undefined
      ? `The test "${title}" ended`
      : `Tests that ran at the same time (${company.titles.map((each) => `"${each}"`).join(', ')}) ended`
  const message = `${tests} while ${server.url} was still at work on ${requests.map(withoutTest).map(inWords).join('; ')}.`
  if (lingering !== 'fail') return console.warn(`portzero: ${message}`)
  throw new PortzeroError(
    'LINGERING',
    `${message} Await in the test what it starts, or set the option 'lingering' to 'wait' or 'warn'.`,
  )
}

function withoutTest({ test: _test, ...request }: InFlight): InFlight {
  return request
}
