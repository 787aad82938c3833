import { performance } from 'node:perf_hooks'
import type { OwnClient } from './client.ts'
import type { Connections } from './connections/connections.ts'
import { settlesWithin } from './deadline.ts'
import { asBlocker } from './life.ts'
import type { BoundSocket } from './socket.ts'
import { turns } from './turns.ts'
import type { Blocker } from './types.ts'

/** Work of the app's own to do when all answers are given. */
export interface Hook {
  readonly name: string
  run(): unknown
}

/** What serves requests. */
export interface Serving {
  readonly socket: Pick<BoundSocket, 'close'>
  readonly connections: Connections
  readonly client: OwnClient
}

/**
 * Turns of the event loop in which all is read that was sent before: what is left of the one that runs, and a whole one. An answer that a
 * client has yet to read does not count: the connection of that is kept for a while.
 */
const ARRIVAL = 2

/** So many connections may wait in the kernel's queue, as Node asks for it: what comes after them has been sent later. */
const QUEUE = 511

/** How long what is known to have been sent is waited for, in ms. */
const ON_ITS_WAY = 25

/** What the end of cut connections, and then the hooks, get together in ms where requests have used up the grace. */
export const AFTERWARDS = 50

/**
 * Stops serving: nothing new, then what is idle, then what is in flight, then what is left. Every wait is bounded.
 * Returns what was cut off.
 */
export async function stopServing(serving: Serving, grace: number): Promise<Blocker[]> {
  const { socket, connections, client } = serving
  const startedAt = performance.now()
  const left = (): number => grace - (performance.now() - startedAt)

  client.stop()
  // Clients that connect all the time leave the other half to what is in flight.
  await arrival(serving, grace / 2)
  socket.close()
  void client.close()

  const drained = connections.drain({ ours: (end) => client.owns(end), startedAt })
  if (connections.isEmpty) await drained
  else if (!(await settlesWithin(drained, left()))) {
    connections.cut()
    if (!(await settlesWithin(drained, left() + AFTERWARDS))) connections.forget()
  }
  return connections.lost.map(asBlocker)
}

/** Lets arrive what clients have sent by now: a connection in the kernel's queue would be refused with its request. */
export async function arrival(
  { connections, client }: Pick<Serving, 'connections' | 'client'>,
  ms: number = ON_ITS_WAY,
): Promise<void> {
  const sending = client.sending()
  if (sending !== undefined) {
    const arrived = sending.then((ports) => connections.met(ports))
    // No longer: one that has ended here, and is not known to have there, does not come again.
    await settlesWithin(arrived, Math.min(ON_ITS_WAY, ms))
  }
  // Where nobody is connected a close is as quick as it can be: waiting for the chance of a connection would double its time.
  if (connections.isOver) return
  // A turn of the event loop takes one connection, and reads what has come on those that it took before, which may take the app a while.
  const startedAt = performance.now()
  const last = connections.count + QUEUE
  let seen: number
  do {
    seen = connections.count
    await turns(ARRIVAL)
  } while (
    connections.count > seen &&
    connections.count < last &&
    performance.now() - startedAt < ms
  )
}

/** Runs hooks one after another, for no longer than `ms` in all. Where that is over, each is still begun. */
export async function runHooks(
  hooks: readonly Hook[],
  ms: number,
): Promise<{ failures: unknown[]; hanging: Blocker[] }> {
  const failures: unknown[] = []
  const hanging: Blocker[] = []
  const deadline = performance.now() + ms
  for (const { name, run } of hooks) {
    const began = performance.now()
    const work = attempt(run, failures)
    if (work === undefined || (await settlesWithin(work, Math.max(0, deadline - began)))) continue
    hanging.push({ kind: 'hook', method: name, path: '', ageMs: performance.now() - began })
  }
  return { failures, hanging }
}

/** Runs a hook. Returns a promise, which does not reject, for one that takes its time. */
function attempt(run: () => unknown, failures: unknown[]): Promise<unknown> | undefined {
  try {
    const result = run()
    if (!isThenable(result)) return undefined
    return Promise.resolve(result).catch((error: unknown) => failures.push(error))
  } catch (error) {
    failures.push(error)
    return undefined
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
