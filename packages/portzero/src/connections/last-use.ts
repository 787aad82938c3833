import { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Connection } from './connection.ts'

interface Timed {
  _idleStart?: number
}

/** A socket of no connection, of which Node keeps what it keeps of each. */
const own = new Socket()

/** Where Node keeps the timer of a socket: it gives one to each connection that waits for its next request. */
const timerKey = Object.getOwnPropertySymbols(own).find(
  ({ description }) => description === 'timeout',
)

/**
 * When a connection was last used; `-Infinity` where it never was. That is not noted: Node has its own note of when it has begun to wait for
 * the next request. Where there is none (`keepAliveTimeout: 0`, or no socket), it may have been used just now.
 */
export function lastUse({ answer, usedAt, stream }: Connection): number {
  if (answer === undefined) return usedAt
  return Math.max(usedAt, waitingSince(stream) ?? performance.now())
}

function waitingSince(stream: Socket): number | undefined {
  const startedAt = stream.timeout === undefined || stream.timeout === 0 ? undefined : timer(stream)
  return startedAt === undefined ? undefined : startedAt + offset()
}

/** When the timer of a socket was started, by a clock of whole milliseconds. */
function timer(socket: Socket): number | undefined {
  if (timerKey === undefined) return undefined
  const { [timerKey]: timed } = socket as unknown as Record<symbol, Timed | null | undefined>
  return timed?._idleStart
}

/** How far `performance.now()` is ahead of that clock. */
function offset(): number {
  own.setTimeout(1)
  const now = timer(own) ?? NaN
  own.setTimeout(0)
  return performance.now() - now
}
