import type { Client } from './client.ts'
import type { Connections } from './connections.ts'
import { settlesWithin } from './deadline.ts'
import { PortzeroError, messageOf } from './errors.ts'
import type { BoundSocket } from './socket.ts'
import type { Blocker, CloseReport } from './types.ts'

/** What a server consists of, as far as closing it goes. */
export interface Parts {
  readonly url: string
  readonly socket: BoundSocket
  readonly connections: Connections
  readonly client: Client
  /** Tells the app that closing begins. */
  readonly abort: () => void
  /** Run in this order. */
  readonly hooks: () => readonly Hook[]
}

/** Work of the app's own to do when all answers are given. */
export interface Hook {
  readonly name: string
  run(): unknown
}

/** What the end of cut connections, and then the hooks, get in ms where requests have used up the grace. */
const AFTERWARDS = 50

/**
 * Closes a server, in the order of the guide to closing: nothing new, then what is idle, then what is in flight, then what is
 * left, then the app's own hooks. Every wait is bounded. Throws `CLOSE_FAILED`, after all is closed, if a hook threw.
 */
export async function shutDown(
  parts: Parts,
  grace: number,
  graceOfHooks: number,
): Promise<CloseReport> {
  const { socket, connections, client, abort } = parts
  const startedAt = performance.now()
  const elapsed = (): number => performance.now() - startedAt

  abort()
  client.stop()
  // What our own client was asked to send before is still to arrive.
  const sending = client.sending()
  if (sending !== undefined) {
    await settlesWithin(
      sending.then((ports) => connections.met(ports)),
      grace,
    )
  }
  socket.close()
  client.close()

  const drained = connections.drain((port) => client.owns(port))
  const blockers: Blocker[] = []
  if (!(await settlesWithin(drained, grace - elapsed()))) {
    blockers.push(...connections.cut())
    await settlesWithin(Promise.all([client.destroy(), drained]), AFTERWARDS)
  }

  const failures: unknown[] = []
  const deadline = Math.max(graceOfHooks, elapsed() + AFTERWARDS)
  for (const { name, run } of parts.hooks()) {
    const began = elapsed()
    const work = (async () => run())().catch((error: unknown) => failures.push(error))
    if (await settlesWithin(work, deadline - began)) continue
    blockers.push({ kind: 'hook', method: name, path: '', ageMs: elapsed() - began })
  }

  connections.unwatch()

  const report: CloseReport = {
    outcome: blockers.length === 0 ? 'graceful' : 'forced',
    durationMs: elapsed(),
    blockers,
  }
  if (failures.length === 0) return report
  throw closeFailed(parts.url, failures, report)
}

function closeFailed(url: string, failures: unknown[], report: CloseReport): PortzeroError {
  const cause = failures.length === 1 ? failures[0] : new AggregateError(failures)
  return new PortzeroError(
    'CLOSE_FAILED',
    `The server at ${url} is closed, but ${failures.length === 1 ? 'a close hook' : `${failures.length} close hooks`} failed: ${failures.map(messageOf).join('; ')}`,
    { cause, report },
  )
}
