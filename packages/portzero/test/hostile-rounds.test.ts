import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Stage, kinds } from 'fixture-apps/closing'
import type { Kind } from 'fixture-apps/closing'
import { clients } from 'fixture-clients'
import type { Client, Ending, Visit } from 'fixture-clients'
import { serve } from 'portzero'
import type { CloseReport } from 'portzero'
import { beforeAll, describe, expect, test } from 'vitest'
import { A_LITTLE, Watch, inWords, suits } from './watch.ts'

const ROUNDS = 100
const GRACE = 100
/** The longest wait for the call of close(), and from there for the end of the work in flight, in ms. */
const WAIT = 30
/** What clients get to see that the server is gone, in ms. */
const LIMIT = 1_000

/** Set it to the seed of a run that failed, to have the same rounds again. */
const seed = Number(process.env['HOSTILE_SEED'] ?? randomInt(2 ** 31))

interface Round {
  readonly kind: Kind
  readonly guests: readonly Client[]
  /** When close() is called, and how much later what is in flight is done, in ms. */
  readonly closesAfter: number
  readonly releasesAfter: number
}

/** How a client ended that had come to its point when close() was called. */
interface Ended {
  readonly client: Client
  readonly endings: Ending[]
}

describe('100 rounds with random timing and mixed clients', () => {
  let before: Record<string, number>
  beforeAll(() => void (before = heldOpen()))

  test.each(Array.from({ length: ROUNDS }, (_, index) => index))('round %i', async (index) => {
    const round = roll(seed + index)
    const { kind, guests, closesAfter, releasesAfter } = round
    const story = [
      `HOSTILE_SEED=${seed}: ${kind.name}, closed after ${closesAfter} ms, work done ${releasesAfter} ms later`,
      ...guests.map(({ name }) => name),
    ]
    using watch = new Watch()
    const { report, ended, left, refuses } = await play(round, watch)
    expect({ story, left, refuses, unhandled: watch.unhandled() }).toEqual({
      story,
      left: [],
      refuses: true,
      unhandled: [],
    })
    if (watch.stoodStill()) return
    const { outcome, durationMs } = report
    const cut = new Set(report.blockers.map(inWords))
    const due = new Set(
      ended.flatMap(({ client: { blocks } }) => (blocks ? [inWords(blocks)] : [])),
    )
    // Who had not come to its point may have held up anything.
    const all = ended.length === guests.length
    expect({
      story,
      ended: ended.map(({ client, endings }) => [client.name, ...new Set(endings)]),
      overdue: Math.max(0, durationMs - GRACE - A_LITTLE),
      outcome,
      cut,
    }).toEqual({
      story,
      ended: ended.map(({ client }) => [client.name, client.ends]),
      overdue: 0,
      outcome: cut.size === 0 ? 'graceful' : 'forced',
      cut: all ? due : new Set([...due, ...cut]),
    })
  })

  test('leave nothing open', async () => {
    await expect.poll(heldOpen).toEqual(before)
  })
})

/** Sends the clients to a server, closes it after a while, and sees what becomes of those that had come to their point. */
async function play(
  { kind, guests, closesAfter, releasesAfter }: Round,
  watch: Watch,
): Promise<{ report: CloseReport; ended: Ended[]; left: unknown[]; refuses: boolean }> {
  const stage = new Stage()
  const server = await serve(await kind.create(stage), { ...kind.options, grace: GRACE })
  const visited = { url: new URL(server.url), stage, opened: watch.opened }
  const present: { client: Client; visit: Visit }[] = []
  for (const client of guests) {
    const visit = client.visit(visited)
    void visit.then(
      (arrived) => present.push({ client, visit: arrived }),
      () => 'the server was closed before',
    )
  }
  await delay(closesAfter)

  const visits = [...present]
  const closing = server.close()
  for (const { visit } of visits) visit.onClosing?.()
  setTimeout(stage.release, releasesAfter)
  const report = await closing

  const left = watch.left()
  const refuses = await watch.refuses(server)
  for (const { visit } of visits) visit.readAgain?.()
  const ended = visits.map(async ({ client, visit }) => {
    const endings = await Promise.race([visit.endings, delay(LIMIT, ['hangs'], { ref: false })])
    return { client, endings }
  })
  return { report, ended: await Promise.all(ended), left, refuses }
}

/** The same round for the same seed. */
function roll(from: number): Round {
  // Mulberry32.
  let state = from
  const upTo = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % (limit + 1)
  }
  const pick = <T>(list: readonly T[]): T => list[upTo(list.length - 1)] as T

  const kind = pick(kinds)
  const suitable = clients.filter((client) => suits(client, kind))
  const guests = Array.from({ length: 1 + upTo(5) }, () => pick(suitable))
  return { kind, guests, closesAfter: upTo(WAIT), releasesAfter: upTo(WAIT) }
}

/** What the process has open, by its kind. */
function heldOpen(): Record<string, number> {
  const held: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) {
    if (/TCP|TLS/.test(name)) held[name] = (held[name] ?? 0) + 1
  }
  return held
}
