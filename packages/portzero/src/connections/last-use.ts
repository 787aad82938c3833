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

own.setTimeout(1)
/** How far `performance.now()` is ahead of the clock of timers, in ms: that of whole ones. */
const AHEAD = performance.now() - (timer(own) ?? NaN)
own.setTimeout(0)

/**
 * When a connection was last used; `-Infinity` where it never was. It is not noted, as Node notes when a connection begins to wait for its
 * next request. Where Node does not (`keepAliveTimeout: 0`, or no socket), it may have been used just now.
 */
export function lastUse({
  startedAt,
  usedAt,
  stream,
}: Pick<Connection, 'startedAt' | 'usedAt' | 'stream'>): number {
  if (startedAt === -Infinity) return usedAt
  const waitsSince = stream.timeout ? timer(stream) : undefined
  return Math.max(usedAt, waitsSince === undefined ? performance.now() : waitsSince + AHEAD)
}

/** When the timer of a socket was started. */
function timer(socket: Socket): number | undefined {
  if (timerKey === undefined) return undefined
  const { [timerKey]: timed } = socket as unknown as Record<symbol, Timed | null | undefined>
  return timed?._idleStart
}
