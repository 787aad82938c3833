import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse, Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { isComing, isEventStream, isWaiting } from './answer.ts'
import type { Answer } from './answer.ts'
import type { ServedWebSocket } from './web-socket.ts'

/** A request and its answer, from its arrival until the answer is handed over or given up. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly startedAt: number
  /** What the stream had sent before. */
  sentBefore: number
  /** None where the connection became something else, or where it is given, and a part of the request still to come. */
  readonly answer: Answer | undefined
  /** What the app answers a stream of HTTP/2 by, where it does not do that itself. */
  response: Http2ServerResponse | undefined
  /** Whether it has no end of its own, once its head is sent and somebody has asked. */
  isEndless: boolean | undefined
  /** The WebSocket that it became, once the app has accepted it. */
  webSocket: ServedWebSocket | undefined
  /** True if it is answered while a part of its request is still to come. */
  isAnswered: boolean
  readonly test: string | undefined
}

/** A connection of a client, and what is in flight on it. */
export interface Connection {
  /**
   * Of the last request that came, unless that waits in line. All that there is to know of it is noted here, and it is followed once somebody
   * asks: most are over by then, and have cost no object. The app may change what its request says.
   */
  method: string
  path: string
  /** `-Infinity` where none came. */
  startedAt: number
  /** Of that request, or of a session: what its socket had sent of all that its client is known to have read. */
  sentBefore: number
  test: string | undefined
  /** True if that is not the first. */
  isReused: boolean
  /** True if it is followed to its end, or there was none since the connection became something else. */
  isFollowed: boolean
  readonly socket: Socket
  /** What speaks HTTP: the socket itself, or what decrypts it. */
  stream: Socket
  session: Http2Session | undefined
  /** Those that are followed to their end, in the order of their arrival. Nearly always one: an array is faster than a set. */
  readonly exchanges: Exchange[]
  /** What a session has answered last. */
  last: Exchange | undefined
  /** When the last exchange ended that was followed to its end. */
  usedAt: number
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

/** True of what a connection became instead. */
export function isUpgrade({ answer, isAnswered }: Exchange): boolean {
  return answer === undefined && !isAnswered
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
export function isUnread({ socket, session, sentBefore }: Connection): boolean {
  return session !== undefined && bytesSent(socket) - sentBefore > TAKEN
}

/** What is being answered on a connection, as Node keeps it until it is handed over. Others wait in line behind it. */
export function answerOn({ stream }: Connection): ServerResponse | undefined {
  const { _httpMessage: answer } = stream as Socket & { _httpMessage?: ServerResponse | null }
  return answer ?? undefined
}

/** The request of which a part is still to come on a connection, as Node keeps it until it has been read: it may be answered. */
export function requestOn({ stream }: Connection): IncomingMessage | undefined {
  const { parser } = stream as Socket & { parser?: { incoming?: IncomingMessage | null } | null }
  const request = parser?.incoming
  return request && !stream.destroyed && isComing(request) ? request : undefined
}

/**
 * The request of an exchange, if a client that has its answer may be sending the rest of it: what comes on a connection that has ended is reset.
 * Of others than the last all has come. The answer may not know its request.
 */
export function stillSent(connection: Connection, exchange: Exchange): IncomingMessage | undefined {
  const { answer } = exchange
  if (answer === undefined || connection.exchanges.at(-1) !== exchange) return undefined
  const request = requestOn(connection)
  return request === undefined || isWaiting(answer, request) ? undefined : request
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

/** Of what is encrypted the content, where that is asked. A stream that is no socket does not count. */
export function bytesSent(socket: Socket): number {
  return socket.bytesWritten ?? 0
}

/** The same where nothing waits to be sent: what does is found more slowly, for each request. */
export function bytesHandedOver(socket: Socket): number {
  const { _bytesDispatched: sent } = socket as Socket & { _bytesDispatched?: number }
  return sent ?? bytesSent(socket)
}

/** Node takes any stream for a connection: `server.emit('connection', stream)`. */
export function isSocket(stream: Socket): boolean {
  return 'resetAndDestroy' in stream
}
