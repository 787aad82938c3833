import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse, Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { isAhead, isEventStream } from './answer.ts'
import type { Answer } from './answer.ts'
import { headOf } from './answer-head.ts'
import type { ServedWebSocket } from './web-socket.ts'

/** A request and its answer, from its arrival until the answer is handed over or given up. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly startedAt: number
  /** What the stream had sent before. */
  readonly sentBefore: number
  /** None where the connection became something else. */
  readonly answer: Answer | undefined
  /** What the app answers a stream of HTTP/2 by, where it does not do that itself. */
  response: Http2ServerResponse | undefined
  /** Whether it has no end of its own, once its head is sent and somebody has asked. */
  isEndless: boolean | undefined
  /** The WebSocket that it became, once the app has accepted it. */
  webSocket: ServedWebSocket | undefined
  /** True of a stream of HTTP/2 that is answered while a part of its request is still to come. */
  isAnswered: boolean
  readonly test: string | undefined
}

/** A connection of a client, and what is in flight on it. */
export interface Connection {
  readonly socket: Socket
  /** What speaks HTTP: the socket itself, or what decrypts it. */
  stream: Socket
  session: Http2Session | undefined
  /** Those that are followed to their end, in the order of their arrival. Nearly always one: an array is faster than a set. */
  readonly exchanges: Exchange[]
  /**
   * The answer to the last request that came, until that is followed. Most are given at once, and over by the time that anyone looks:
   * what there is to know of such a request is noted here, so that it costs no object.
   */
  answer: ServerResponse | undefined
  /** Of that request. The app may change what its request says. */
  method: string
  path: string
  startedAt: number
  /**
   * Of a session: what its socket had sent of all that its client is known to have read. Of a request that may be found out later:
   * undefined.
   */
  sentBefore: number | undefined
  test: string | undefined
  /** What was answered last: of a session, and where a part of the request was still to come. */
  last: Exchange | undefined
  /** When its last exchange ended; undefined if it had none. */
  usedAt: number | undefined
  /** Set once its closing has begun. */
  ending: 'when answered' | 'by its client' | undefined
  /** When that was. */
  endingSince: number
  /** When the last of what was in flight then has ended, or that same time. */
  settledAt: number
  /** True if its last answer was on its way when its closing began. */
  isAnswered: boolean
  /** True if its client sends requests before it has the answers to those before: more may be on their way. */
  isPipelined: boolean
  /** True if an answer was kept from telling the client that the connection ends. */
  isSpared: boolean
}

/**
 * True of an exchange that has no end of its own: events that were asked for with GET, as EventSource does. Those that answer another method
 * do have one, as the words of a chat, or what a tool that was called has to say.
 */
export function isEndless(exchange: Exchange): boolean {
  const { method, answer } = exchange
  // What the head says is found out once.
  if (method === 'GET' && answer?.headersSent === true) exchange.isEndless ??= isEventStream(answer)
  return exchange.isEndless === true
}

/** So many bytes the system of a client takes while the client does not read: what Linux begins with, and others exceed. */
const TAKEN = 65_536

/** What is in flight on a connection; while it closes also what its client may have yet to read. */
export function exchangesOf(connection: Connection): readonly Exchange[] {
  const { exchanges, ending, last } = connection
  if (ending === undefined) return exchanges.filter(({ isAnswered }) => !isAnswered)
  if (exchanges.length > 0 || last === undefined) return exchanges
  return isUnread(connection) ? [last] : []
}

/** True if a session may have sent more than its client's system takes: what that has not read would be lost with the connection. */
export function isUnread({ socket, session, sentBefore = 0 }: Connection): boolean {
  return session !== undefined && bytesSent(socket) - sentBefore > TAKEN
}

/** True if a client that has its answer may be sending the rest of its request: what comes on a connection that has ended is reset. */
export function isStillSent({ stream }: Connection, { answer }: Exchange): boolean {
  return answer !== undefined && !stream.destroyed && isAhead(answer)
}

/** True while the end of a connection is under way. A reset fails then, and Node leaves its handle open for ever. */
export function isEnding({ writableEnded, writableFinished, writableLength }: Socket): boolean {
  return writableEnded && !writableFinished && writableLength === 0
}

/** Cuts off a connection, as a reset where it can. */
export function reset(socket: Socket): void {
  try {
    socket.resetAndDestroy()
  } catch {
    // A pipe, or what is encrypted. Node takes any stream for a connection: `server.emit('connection', stream)`.
    socket.destroy()
  }
}

/**
 * True of a request whose answer may tell later what was sent before it. Asking the system for that costs a request more than all else that
 * is noted of it; one that has a body may be answered before it is over.
 */
export function isLater({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD'
}

/**
 * What was sent before an answer whose handler has returned. Node keeps what that writes at once until then, but for a head that is flushed:
 * where more is written behind it at once, the head counts as sent before.
 */
export function sentUntil({ stream }: Connection, answer: ServerResponse): number {
  const { socket, writableLength: kept } = answer
  const { _headerSent: isBegun } = answer as ServerResponse & { _headerSent: boolean }
  const sent = bytesSent(stream)
  if (!isBegun || socket === null) return sent
  // Newer versions of Node keep it in the answer, where the stream does not count it.
  const own = kept === 0 ? headOf(answer).length : socket.writableLength
  return Math.max(0, sent - own)
}

/** Of what is encrypted the content, where that is asked. A stream that is no socket does not count. */
export function bytesSent(socket: Socket): number {
  return socket.bytesWritten ?? 0
}

/** Node takes any stream for a connection: `server.emit('connection', stream)`. */
export function isSocket(stream: Socket): boolean {
  return 'resetAndDestroy' in stream
}
