import type { IncomingMessage } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import { setTimeout as delay } from 'node:timers/promises'
import { TURNS, turns } from '../turns.ts'
import { onHead, saysLast } from './answer-head.ts'
import { endEventStream } from './answer.ts'
import {
  answerOn,
  bytesSent,
  isEndless,
  isSocket,
  isUnread,
  isUpgrade,
  requestOn,
  stillSent,
} from './connection.ts'
import type { Connection, Exchange } from './connection.ts'
import { lastUse } from './last-use.ts'

/**
 * How long a connection that was just used is kept open while closing, in ms: a client that reuses it may have a request on
 * the wire already, which would be lost.
 */
const LINGER = 25

/**
 * The same after an answer that could not say that it is the last, as its head was sent before, for a client that has not used its
 * connection twice.
 */
const MOMENT = 1

/**
 * How long a client that sends requests before it has the answers to those before is not told which one is the last, in ms, counted from the
 * end of what was in flight when closing began: what it has sent by the time that it reads that would be lost.
 */
const PIPELINED = 500

const HEAD_END = '\r\n\r\n'

export interface Closing {
  readonly startedAt: number
  /** Says of a connection whether its client is our own. */
  ours(socket: Socket): boolean
}

/** True if a connection has not been in use for so long that nothing is on its way. */
export function isAtRest(connection: Connection, { ours, startedAt }: Closing): boolean {
  const { socket, session, exchanges } = connection
  if (session !== undefined || exchanges.length > 0) return false
  if (answerOn(connection) !== undefined || requestOn(connection) !== undefined) return false
  return startedAt - lastUse(connection) >= LINGER && !ours(socket)
}

/** Starts the end of a connection, as it has to be for its client and for what is in flight. */
export function end(connection: Connection, { ours, startedAt }: Closing): void {
  const isOurs = ours(connection.socket)
  connection.ending = isOurs ? 'by its client' : 'when answered'
  for (const exchange of connection.exchanges) endExchange(connection, exchange)
  if (isOurs) return void linger(connection, LINGER)
  connection.endingSince = performance.now()
  connection.settledAt = connection.endingSince
  const { session, stream } = connection
  if (session !== undefined) {
    // Its client has been told by then. Its own end takes it a while, or never comes.
    stream.once('finish', () => {
      if (!isUnread(connection)) stream.destroy()
    })
  }
  if (connection.exchanges.length > 0) return
  // Not until now: a process that has stood still meanwhile has not seen what its clients have sent.
  const sinceUse = Math.max(0, startedAt - lastUse(connection))
  // Of a negative delay Node warns.
  const ms = Math.max(0, LINGER - sinceUse)
  if (session === undefined) return void linger(connection, ms)
  if (isUnread(connection)) setTimeout(() => void dismissWhenRead(connection), ms)
  else if (ms > 0) setTimeout(() => void dismiss(connection), ms)
  else giveUp(connection)
}

/** Takes note of a request that comes while closing. */
export function noteArrival(connection: Connection, request: IncomingMessage): void {
  connection.isPipelined ||= comesWithMore(connection.stream, request)
}

/** True if Node has read more than the one request that it is just telling of. How long a body in chunks is, only reading it would tell. */
function comesWithMore(stream: Socket, { headers }: IncomingMessage): boolean {
  const { parser } = stream as Socket & { parser?: { getCurrentBuffer?(): Buffer } }
  const read = parser?.getCurrentBuffer?.() ?? Buffer.alloc(0)
  const at = read.indexOf(HEAD_END)
  const body = Number(headers['content-length'] ?? 0)
  return at !== -1 && at + HEAD_END.length + body < read.length
}

/** Has an exchange end soon, on a connection whose closing has begun. */
export function endExchange(connection: Connection, exchange: Exchange): void {
  const { answer, response, webSocket } = exchange
  webSocket?.dismiss()
  if (answer === undefined) return
  // Whoever has answered may not read the rest.
  if (exchange.isAnswered) return void (answer as ServerHttp2Stream).resume()
  if (isEndless(exchange)) return endEventStream(response ?? answer)
  if (answer.headersSent) return void (connection.isAnswered ||= answer.writableEnded)
  onHead(
    answer,
    () => isLast(connection, exchange),
    // With what the app writes at once.
    () => setImmediate(() => isEndless(exchange) && endEventStream(response ?? answer)),
  )
}

/**
 * True if nothing more is due after an exchange. Node would end the connection behind its answer: if a part of the request is still to
 * come, that is waited for. Once, as its client may ask on and on.
 */
function isLast(connection: Connection, exchange: Exchange): boolean {
  const { ending, exchanges, isSpared, isPipelined, settledAt, stream } = connection
  if (ending !== 'when answered' || exchanges.at(-1) !== exchange) return false
  // Node reads no more before what it has answered is sent: requests may wait there.
  if (stream.isPaused()) return false
  if (isPipelined && performance.now() - settledAt < PIPELINED) return false
  if (isSpared || stillSent(connection, exchange) === undefined) return true
  connection.isSpared = true
  return false
}

/** Goes on with the end of a connection on which an exchange is over. */
export function endOn(connection: Connection, exchange: Exchange): void {
  const { answer, startedAt } = exchange
  const { ending, session, exchanges, isAnswered, isReused, endingSince } = connection
  if (ending === undefined) return
  if (startedAt <= endingSince) connection.settledAt = performance.now()
  if (session !== undefined) return void dismissWhenRead(connection)
  if (exchanges.length > 0) return
  if (ending === 'by its client') return void linger(connection, LINGER)
  if (isUpgrade(exchange) || isEndless(exchange)) return closeSoon(connection)
  if (answer !== undefined && saysLast(answer)) return closeSoon(connection)
  void linger(connection, isReused || isAnswered ? LINGER : MOMENT)
}

/** Closes a connection that was used after `ms`, unless a request has come on it by then. */
async function linger(connection: Connection, ms: number): Promise<void> {
  const { usedAt } = connection
  const due = performance.now() + ms
  await delay(ms)
  // What has kept this process waiting may have kept its client waiting too.
  const late = Math.max(0, performance.now() - due)
  await delay(Math.min(late, LINGER))
  // A process that was busy has not seen yet what has come meanwhile.
  await turns(TURNS)
  if (connection.exchanges.length === 0 && connection.usedAt === usedAt) closeSoon(connection)
}

/**
 * Ends a session that has answered what was in flight when closing began, once its client has read that. Not before: it may take all
 * that it has not read for lost when it is told to go, as undici does. Clients answer a ping by themselves, in the turn in which they
 * have read what came before it; of one that does not, no more is waited for than of any other, if its system has all that was sent.
 */
async function dismissWhenRead(connection: Connection): Promise<void> {
  const { socket, exchanges, session, endingSince } = connection
  const [oldest] = exchanges
  if (oldest !== undefined && oldest.startedAt <= endingSince) return
  const unread = isUnread(connection)
    ? undefined
    : setTimeout(() => void dismiss(connection), LINGER)
  // A ping overtakes the end of an answer that is given in the same turn.
  await turns(1)
  if (session === undefined || session.destroyed) return clearTimeout(unread)
  const sent = bytesSent(socket)
  session.ping((error: Error | null) => {
    // The app may have more pings on their way than Node lets it. Where the session has ended, the client's own end is awaited.
    if (error)
      return void (session.destroyed || setTimeout(() => void dismissWhenRead(connection), LINGER))
    clearTimeout(unread)
    connection.sentBefore = sent
    void dismiss(connection)
  })
}

/** Ends a session, once what is on its way has come. */
async function dismiss(connection: Connection): Promise<void> {
  await turns(TURNS)
  giveUp(connection)
}

/** Tells the client of a session to go. Where it stays, though nothing is in flight any more, the session is ended without it. */
function giveUp(connection: Connection): void {
  const { session, stream, exchanges, usedAt } = connection
  session?.close()
  setTimeout(() => {
    // What is answered meanwhile is on its way.
    if (exchanges.length > 0 || connection.usedAt !== usedAt || isUnread(connection)) return
    session?.destroy()
    stream.destroySoon()
  }, LINGER)
}

// After what is written has been handed over.
function closeSoon(connection: Connection): void {
  const { stream, session } = connection
  if (session !== undefined) void dismissWhenRead(connection)
  else if (isSocket(stream)) stream.destroySoon()
  else stream.end(() => stream.destroy())
}
