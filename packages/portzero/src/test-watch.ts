import { performance } from 'node:perf_hooks'
import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { inWords } from './in-words.ts'
import { followSending, sending } from './sending.ts'
import { TURNS, turns } from './turns.ts'
import type { InFlight } from './types.ts'
import { warn } from './warn.ts'

/** What happens when a test ends while requests that it made are still running. */
export type Lingering = 'wait' | 'warn' | 'fail'

/** A server for whose requests a test answers, and how those that are still running are dealt with. */
export interface Answerable {
  readonly lingering: Lingering
  readonly grace: number
  /** Whether other workers use the server at the same time. */
  readonly isShared: boolean
  /** Nothing if it does not run. */
  server(): Followed | undefined
}

/** A server whose requests are told apart by test. */
export interface Followed {
  readonly url: string
  readonly port: number
  /** Says which tests run. Resolves when it is known to the server. */
  tests(titles: readonly string[]): Promise<void>
  inFlight(): readonly InFlight[]
  /** Resolves when the next of what is in flight has ended, or earlier. */
  ended(): Promise<void>
}

/** A test that runs, or has just ended. */
interface RunningTest {
  readonly title: string
  /** When all had come that was asked before it. */
  beganAt: number
  readonly company: Company
  readonly answersFor: Answerable[]
  /** For how many of them its end was not told yet. */
  pending: number
}

/** Tests that run at the same time, one after another without a gap, or one alone. Nothing tells what is whose of several. */
interface Company {
  /** When the first of them began. */
  since: number
  readonly titles: Map<object, string>
  readonly answersFor: Answerable[]
}

const followed: Set<Followed> = new Set()
/** By what the runner knows each by: titles come twice, and so do tests that are tried again. */
const running: Map<object, RunningTest> = new Map()

/**
 * How long a request may take to end by itself once its test has, in ms: the test has its answer before the server hears that
 * it is delivered.
 */
const DELIVERY = 100

/** How long a request may take to be sent, in ms. Before the first one Node loads what its fetch is made of. */
const SENDING = 250

/** Tells a server which tests are running, until `unfollow()`. */
export async function follow(server: Followed): Promise<void> {
  followSending()
  followed.add(server)
  await server.tests(titlesOf(running.values()))
}

/** Tells a server of no further test. */
export function unfollow(server: Followed): void {
  followed.delete(server)
}

/**
 * A test begins: what servers are asked from now on is said to be its. This is called for each server that it answers for, and so is
 * {@link testEnds}.
 */
export async function testBegins(key: object, title: string, server: Answerable): Promise<void> {
  const known = running.get(key)
  const test = known ?? begin(key, title)
  test.answersFor.push(server)
  test.company.answersFor.push(server)
  test.pending += 1
  if (known !== undefined) return
  await tellAll()
  test.beganAt = performance.now()
  test.company.since = Math.min(test.company.since, test.beganAt)
}

function begin(key: object, title: string): RunningTest {
  const [other] = running.values()
  const company = other?.company ?? { since: Infinity, titles: new Map(), answersFor: [] }
  const test: RunningTest = { title, beganAt: Infinity, company, answersFor: [], pending: 0 }
  company.titles.set(key, title)
  running.set(key, test)
  return test
}

/**
 * A test has ended, once this was called for all servers that it answers for. What it has sent by now is still its. Does with its requests
 * that are still running what `lingering` says: waits for them up to `grace` ms and warns of those that are left, warns at once, or throws
 * `LINGERING`. Where tests ran at the same time, the last of them answers for all of which it is not known whose they are.
 */
export async function testEnds(key: object): Promise<void> {
  const test = running.get(key)
  if (test === undefined) return
  test.pending -= 1
  if (test.pending > 0) return
  running.delete(key)
  const isLast = running.size === 0
  await tellAll()
  await settle(test, isLast)
}

async function tellAll(): Promise<void> {
  const titles = titlesOf(running.values())
  // What a client of this process was asked to send is on its way by then, but for what waits for a connection.
  await turns(TURNS)
  const waiting = sending([...followed].map(({ port }) => port))
  if (waiting !== undefined) {
    await settlesWithin(waiting, SENDING)
    await turns(TURNS)
  }
  await Promise.all([...followed].map((server) => server.tests(titles)))
}

function titlesOf(tests: Iterable<RunningTest>): string[] {
  return [...tests].map(({ title }) => title)
}

async function settle(test: RunningTest, isLast: boolean): Promise<void> {
  const failures: string[] = []
  const servers = runningOf(isLast ? test.company.answersFor : test.answersFor)
  const settling = [...servers].map(async ([server, settings]) => {
    const requests = await leftAt(server, settings, test, isLast)
    if (requests.length === 0) return
    const message = inSentences(requests, server, test)
    if (settings.lingering === 'fail') failures.push(message)
    else warn(message)
  })
  await Promise.all(settling)
  if (failures.length === 0) return
  throw new PortzeroError(
    'LINGERING',
    `${failures.join(' ')} Await in the test what it starts, or set the option 'lingering' to 'wait' or 'warn'.`,
  )
}

/** Several tests, and several fixtures of one, may have the same server. */
function runningOf(all: readonly Answerable[]): Map<Followed, Answerable> {
  const servers = new Map<Followed, Answerable>()
  for (const each of all) {
    const server = each.server()
    if (server !== undefined) servers.set(server, each)
  }
  return servers
}

/** The requests for which a test answers that a server has not answered after a while. */
async function leftAt(
  server: Followed,
  { lingering, grace, isShared }: Answerable,
  { title, beganAt, company }: RunningTest,
  isLast: boolean,
): Promise<InFlight[]> {
  const left = (): InFlight[] => {
    const now = performance.now()
    return server.inFlight().filter((request) => {
      if (request.kind !== 'request') return false
      if (request.test !== undefined)
        return request.test === title && request.ageMs <= now - beganAt
      // What nobody is known to have asked may be another worker's, where there are several.
      return isLast && !isShared && request.ageMs <= now - company.since
    })
  }
  const limit = lingering === 'wait' ? Math.max(grace, DELIVERY) : DELIVERY
  const deadline = performance.now() + limit
  const ended = async (): Promise<void> => {
    while (left().length > 0 && performance.now() < deadline) await server.ended()
  }
  await settlesWithin(ended(), limit)
  return left()
}

function inSentences(
  requests: readonly InFlight[],
  { url }: Followed,
  { title, company }: RunningTest,
): string {
  const titles = [...company.titles.values()].map((each) => `"${each}"`)
  const isItsOwn = ({ test }: InFlight): boolean => test !== undefined || titles.length === 1
  const parts: [tests: string, requests: InFlight[]][] = [
    [`The test "${title}"`, requests.filter(isItsOwn)],
    [
      `Tests that ran at the same time (${titles.join(', ')})`,
      requests.filter((request) => !isItsOwn(request)),
    ],
  ]
  return parts
    .filter(([, these]) => these.length > 0)
    .map(
      ([tests, these]) =>
        `${tests} ended while ${url} was still at work on ${these.map(withoutTest).map(inWords).join('; ')}.`,
    )
    .join(' ')
}

function withoutTest({ test: _test, ...request }: InFlight): InFlight {
  return request
}
