import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { clearTimeout, setTimeout } from 'node:timers'
import { endEventStream, isEventStream } from './event-stream.ts'
import type { Answer } from './event-stream.ts'
import { TURNS, turns } from './turns.ts'
import type { InFlight, NodeServer } from './types.ts'
import { sayGoodbye } from './web-socket.ts'

/** A request and its answer, from its arrival until the answer is handed over or given up. */
interface Exchange {
  readonly method: string
  readonly path: string
  readonly startedAt: number
  /** What the socket had sent before. */
  readonly sentBefore: number
  /** None where the connection became something else. */
  readonly answer: Answer | undefined
  /** The WebSocket that the connection became. */
  readonly webSocket: Duplex | undefined
  readonly test: string | undefined
}

/** A connection of a client, and what is in flight on it. */
interface Connection {
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
  path: string
  startedAt: number
  /** Of a session: what its socket had sent when all that was asked by then was answered and, as far as that is known, read. */
  sentBefore: number
  test: string | undefined
  /** Of a session: what was answered last. */
  last: Exchange | undefined
  /** When its last exchange ended; undefined if it had none. */
  usedAt: number | undefined
  /** Set once its closing has begun. */
  ending: 'when answered' | 'by its client' | undefined
  /** When that was. */
  endingSince: number
  /** True if its last answer was on its way before it could tell the client that the connection ends. */
  untold: boolean
}

/** An answer of so many bytes is handed over as soon as it is given: the system takes them at once. */
const SMALL = 16_384

/** So many bytes the system of a client takes while the client does not read: what Linux begins with, and others exceed. */
const TAKEN = 65_536

/**
 * How long a connection that was just used is kept open while closing, in ms: a client that reuses it may have a request on
 * the wire already, which would be lost.
 */
const LINGER = 25

export interface Closing {
  readonly startedAt: number
  /** Says of a connection whether its client is our own. */
  ours(socket: Socket): boolean
}

/**
 * Knows every connection of a server and what is in flight on it, and closes them. What is in flight is counted per
 * connection and dropped with it, so that neither an abort nor pipelining leaves a count behind.
 */
export class Connections {
  /** Title of the test that is running, where a runner tells. */
  test: string | undefined
  readonly #connections: Set<Connection> = new Set()
  /** The connection of each socket and session. */
  readonly #byPart: WeakMap<object, Connection> = new WeakMap()
  /** The connection that the server is just told of: its session is made meanwhile. */
  #arriving: Connection | undefined
  #opened = 0
  #closing: Closing | undefined
  /** True while closing: the server's own 'close' event then waits until it is closed as a whole. */
  #holdsClose = false
  #unwatch: () => void = () => {}
  #onOpened: (connection: Connection) => void = () => {}
  #onEmpty: () => void = () => {}
  #onEnded: (() => void)[] = []
  readonly #onChange: () => void

  /** `onChange` is told whenever what is in flight changes. */
  constructor(onChange: () => void = () => {}) {
    this.#onChange = onChange
  }

  /**
   * Follows what happens on `server`. Its events are read on their way, not by listeners: a listener for 'upgrade' or
   * 'checkContinue' would change what the server does.
   */
  watch(server: NodeServer): void {
    const emit = server.emit as (event: string, ...args: unknown[]) => boolean
    const observe = (event: string, args: unknown[]): boolean => {
      // Node emits it as soon as a server that takes no connections has none left.
      if (event === 'close' && this.#holdsClose) return true
      this.#observe(event, args)
      const handled = emit.call(server, event, ...args)
      this.#arriving = undefined
      return handled
    }
    const own = Object.getOwnPropertyDescriptor(server, 'emit')
    server.emit = (event: string, ...args: unknown[]): boolean => {
      if (event !== 'request') return observe(event, args)
      // By far the most frequent.
      const answer = args[1] as ServerResponse
      const connection = this.#requested(args[0] as IncomingMessage, answer)
      const handled = emit.call(server, event, args[0], answer)
      if (connection !== undefined && connection.answer === answer) {
        const isOver = forgets(connection, answer.writableFinished)
        if (!isOver && !isQuick(connection, answer)) this.#settle(connection)
      }
      return handled
    }
    this.#unwatch = () => {
      if (own === undefined) Reflect.deleteProperty(server, 'emit')
      else Object.defineProperty(server, 'emit', own)
    }
  }

  /** Follows the server no longer, and leaves it as it was. */
  unwatch(): void {
    this.#unwatch()
  }

  /** What is not answered to the end, oldest first. */
  inFlight(): InFlight[] {
    const now = performance.now()
    for (const connection of this.#connections) this.#settle(connection)
    return [...this.#connections]
      .flatMap((connection) =>
        exchangesOf(connection).map((exchange) => ({
          kind: kindOf(exchange),
          method: exchange.method,
          path: exchange.path,
          ageMs: now - exchange.startedAt,
          bytesSent: bytesSent(connection.socket) - exchange.sentBefore,
          ...(exchange.test !== undefined && { test: exchange.test }),
        })),
      )
      .toSorted((a, b) => b.ageMs - a.ageMs)
  }

  /** Resolves when no request is in flight; what ends only by being ended does not count. */
  async idle(): Promise<void> {
    while (this.inFlight().some(({ kind }) => kind === 'request')) {
      await new Promise<void>((resolve) => this.#onEnded.push(resolve))
    }
  }

  /** Resolves when the connections that clients have made from these ports have arrived here. */
  async met(ports: Iterable<number>): Promise<void> {
    const missing = new Set<number | undefined>(ports)
    for (const { socket } of this.#connections) missing.delete(socket.remotePort)
    if (missing.size === 0) return
    await new Promise<void>((resolve) => {
      this.#onOpened = ({ socket }) => {
        missing.delete(socket.remotePort)
        if (missing.size === 0) resolve()
      }
    })
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0
  }

  /** True if no client can send anything more: each connection is ending by itself, or there is none. */
  get isOver(): boolean {
    return [...this.#connections].every(({ stream }) => stream.writableEnded)
  }

  /** How many connections have come so far. */
  get count(): number {
    return this.#opened
  }

  /**
   * Closes what is idle, never used or half sent, lets what is in flight finish, and resolves when no connection is left.
   * A connection of our own client is left to it for a moment. Until then the server emits no 'close' event: it is the sign for
   * what the app itself does at the end.
   */
  async drain(closing: Closing): Promise<void> {
    this.#holdsClose = true
    this.#closing = closing
    for (const connection of this.#connections) {
      // As few steps as possible for what is often by far the most.
      if (isAtRest(connection, closing)) connection.socket.destroy()
      else this.#end(connection, closing)
    }
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => (this.#onEmpty = resolve))
    }
    this.#holdsClose = false
    this.#closing = undefined
  }

  /**
   * Cuts off all connections that are left, as a reset that no client takes for an answer, and says what was lost. An answer that was
   * handed over as a whole, and is yet to be read, is not.
   */
  cut(): InFlight[] {
    for (const connection of this.#connections) connection.last = undefined
    const lost = this.inFlight()
    for (const { socket, stream, session } of this.#connections) {
      // A session resets its streams itself; a socket that is reset under it would never tell that it closed.
      if (session !== undefined) session.destroy()
      else if (isEnding(stream)) socket.destroy()
      else if (isSocket(socket)) socket.resetAndDestroy()
      else socket.destroy()
      stream.destroy()
    }
    return lost
  }

  #observe(event: string, args: unknown[]): void {
    switch (event) {
      case 'connection':
        return this.#connected(args[0] as Socket)
      case 'secureConnection':
        return this.#secured(args[0] as Socket)
      case 'session':
        return this.#joined(args[0] as Http2Session)
      case 'stream':
        return this.#streamed(args[0] as ServerHttp2Stream, args[1] as Record<string, string>)
      case 'checkContinue':
      case 'checkExpectation': {
        const connection = this.#requested(args[0] as IncomingMessage, args[1] as ServerResponse)
        return connection && this.#settle(connection)
      }
      case 'upgrade':
      case 'connect':
        return this.#upgraded(args[0] as IncomingMessage, args[1] as Socket)
    }
  }

  #connected(socket: Socket): void {
    const connection: Connection = {
      socket,
      stream: socket,
      session: undefined,
      exchanges: [],
      answer: undefined,
      path: '',
      startedAt: 0,
      sentBefore: 0,
      test: undefined,
      last: undefined,
      usedAt: undefined,
      ending: undefined,
      endingSince: Infinity,
      untold: false,
    }
    this.#opened += 1
    this.#connections.add(connection)
    this.#byPart.set(socket, connection)
    this.#arriving = connection
    this.#onOpened(connection)
    // Not once(): what removes it again costs more than it saves, as each closes once.
    socket.on('close', () => {
      connection.exchanges.length = 0
      connection.answer = undefined
      this.#connections.delete(connection)
      this.#ended()
      if (this.#connections.size === 0) this.#onEmpty()
    })
  }

  #secured(stream: Socket): void {
    const connection = [...this.#connections].find(({ socket }) => haveSamePeer(socket, stream))
    if (connection === undefined) return
    connection.stream = stream
    this.#byPart.set(stream, connection)
    this.#arriving = connection
  }

  #joined(session: Http2Session): void {
    if (this.#arriving === undefined) return
    this.#arriving.session = session
    this.#byPart.set(session, this.#arriving)
  }

  #streamed(stream: ServerHttp2Stream, headers: Record<string, string>): void {
    const { ':method': method = 'GET', ':path': path = '/' } = headers
    if (stream.session !== undefined) this.#began(stream.session, { method, path, answer: stream })
  }

  #requested(request: IncomingMessage, response: ServerResponse): Connection | undefined {
    // HTTP/2 has announced the same request as a stream.
    if (request.httpVersionMajor >= 2) return undefined
    const connection = this.#byPart.get(request.socket)
    if (connection === undefined) return undefined
    this.#settle(connection)
    connection.answer = response
    connection.path = request.url ?? '/'
    connection.startedAt = performance.now()
    connection.sentBefore = bytesSent(connection.socket)
    connection.test = this.test
    this.#onChange()
    if (this.#closing !== undefined) this.#end(connection, this.#closing)
    return connection
  }

  #upgraded(request: IncomingMessage, socket: Socket): void {
    const { method = 'GET', url: path = '/', headers } = request
    const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket'
    this.#began(socket, { method, path, webSocket: isWebSocket ? socket : undefined })
  }

  #began(
    part: Socket | Http2Session,
    what: Pick<Exchange, 'method' | 'path'> & Partial<Pick<Exchange, 'answer' | 'webSocket'>>,
  ): void {
    const connection = this.#byPart.get(part)
    if (connection === undefined) return
    this.#settle(connection)
    const sentBefore = bytesSent(connection.socket)
    if (connection.exchanges.length === 0) connection.sentBefore = sentBefore
    this.#follow(connection, {
      answer: undefined,
      webSocket: undefined,
      ...what,
      startedAt: performance.now(),
      sentBefore,
      test: this.test,
    })
    this.#onChange()
  }

  /** Forgets the last request if it is answered, or follows it to its end. */
  #settle(connection: Connection): void {
    const { answer, path, startedAt, sentBefore, test } = connection
    if (answer === undefined || forgets(connection, answer.destroyed)) return
    connection.answer = undefined
    const { method = 'GET' } = answer.req
    this.#follow(connection, {
      method,
      path,
      startedAt,
      sentBefore,
      test,
      answer,
      webSocket: undefined,
    })
  }

  #follow(connection: Connection, exchange: Exchange): void {
    const { exchanges } = connection
    const { answer } = exchange
    exchanges.push(exchange)
    const ended = (): void => {
      const index = exchanges.indexOf(exchange)
      if (index === -1) return
      if (connection.ending !== undefined && isStillSent(connection, exchange)) {
        // Whoever has answered may leave it unread: it has to be read for its end to come.
        return void exchange.answer.req.once('close', ended).resume()
      }
      exchanges.splice(index, 1)
      connection.last = connection.session && exchange
      connection.usedAt = performance.now()
      this.#ended()
      if (connection.ending === 'when answered' && connection.session !== undefined) {
        return void dismissWhenRead(connection)
      }
      if (exchanges.length > 0) return
      if (connection.ending === 'by its client') linger(connection, LINGER)
      if (connection.ending !== 'when answered') return
      if (connection.untold) linger(connection, LINGER)
      else closeSoon(connection)
    }
    answer?.on('close', ended)
    // A stream of HTTP/2 may close long after its answer is handed over.
    if (connection.session !== undefined) answer?.on('finish', ended)
  }

  #end(connection: Connection, closing: Closing): void {
    this.#settle(connection)
    end(connection, closing)
  }

  #ended(): void {
    this.#onChange()
    if (this.#onEnded.length === 0) return
    for (const look of this.#onEnded.splice(0)) look()
  }
}

/** Forgets the last request of a connection if it is over: its end is no later than the moment in which it came. */
function forgets(connection: Connection, isOver: boolean): boolean {
  if (!isOver) return false
  connection.answer = undefined
  connection.usedAt = connection.startedAt
  return true
}

/** True if an answer that was given at once will be over before its connection is used again. */
function isQuick({ exchanges }: Connection, answer: ServerResponse): boolean {
  return answer.writableEnded && exchanges.length === 0 && answer.writableLength < SMALL
}

/** What is in flight on a connection; while it closes also what its client may have yet to read. */
function exchangesOf(connection: Connection): readonly Exchange[] {
  const { exchanges, ending, last } = connection
  if (exchanges.length > 0 || ending === undefined || last === undefined) return exchanges
  return isUnread(connection) ? [last] : []
}

/** True if a session may have sent more than its client's system takes: what that has not read would be lost with the connection. */
function isUnread({ socket, session, sentBefore }: Connection): boolean {
  return session !== undefined && bytesSent(socket) - sentBefore > TAKEN
}

/** True if more was answered than a client's system takes, while that client is still sending its request. */
function isStillSent(
  { socket, stream }: Connection,
  exchange: Exchange,
): exchange is Exchange & { answer: ServerResponse } {
  const { answer, sentBefore } = exchange
  if (answer === undefined || !('req' in answer) || stream.destroyed) return false
  return isComing(answer.req) && bytesSent(socket) - sentBefore > TAKEN
}

/** True if a connection has not been in use for so long that nothing is on its way. */
function isAtRest(connection: Connection, { ours, startedAt }: Closing): boolean {
  const { socket, session, exchanges, answer, usedAt = -Infinity } = connection
  if (session !== undefined || exchanges.length > 0) return false
  if (answer !== undefined && !answer.destroyed) return false
  const idleSince = answer === undefined ? usedAt : connection.startedAt
  return startedAt - idleSince >= LINGER && !ours(socket)
}

function kindOf({ answer, method }: Exchange): InFlight['kind'] {
  if (answer === undefined || method === 'CONNECT') return 'upgrade'
  return isEventStream(answer) ? 'stream' : 'request'
}

/** Starts the end of a connection, as it has to be for its client and for what is in flight. */
function end(connection: Connection, { ours, startedAt }: Closing): void {
  if (connection.ending === 'when answered') return announceLast(connection)
  for (const { answer, webSocket, sentBefore } of connection.exchanges) {
    if (answer !== undefined && isEventStream(answer)) endEventStream(answer)
    // Nothing is said before the answer to its request, which belongs to the app.
    const open = bytesSent(connection.socket) > sentBefore
    if (webSocket !== undefined && open) sayGoodbye(webSocket)
  }
  if (ours(connection.socket)) return linger(connection, LINGER)
  connection.ending = 'when answered'
  connection.endingSince = performance.now()
  const { session, stream } = connection
  if (session !== undefined) {
    // Its client has been told by then. Its own end takes it a while, or never comes.
    stream.once('finish', () => {
      if (!isUnread(connection)) stream.destroy()
    })
  }
  if (connection.exchanges.length > 0) return announceLast(connection)
  // Not until now: a process that has stood still meanwhile has not seen what its clients have sent.
  const sinceUse = Math.max(0, startedAt - (connection.usedAt ?? -Infinity))
  const ms = LINGER - sinceUse
  if (session === undefined) return linger(connection, ms)
  const leave = isUnread(connection) ? dismissWhenRead : dismiss
  if (ms > 0) setTimeout(() => void leave(connection), ms)
  else if (isUnread(connection)) void dismissWhenRead(connection)
  else giveUp(connection)
}

/** Closes a connection that was used after `ms`, unless a request has come on it by then. */
function linger(connection: Connection, ms: number): void {
  connection.ending ??= 'by its client'
  setTimeout(() => {
    // A process that was busy has not seen yet what has come meanwhile.
    void afterTurns(connection)
  }, ms)
}

async function afterTurns(connection: Connection): Promise<void> {
  await turns(TURNS)
  if (connection.exchanges.length === 0) closeSoon(connection)
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
  session.ping(() => {
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

/** Tells the client, with the last answer that is due on the connection, that no further one comes. */
function announceLast(connection: Connection): void {
  const answer = connection.exchanges.at(-1)?.answer
  if (answer === undefined || !('setHeader' in answer)) return
  // An answer that is on its way already cannot say so, and its client may ask again as soon as it has it.
  if (answer.headersSent) connection.untold = answer.writableEnded && !isEventStream(answer)
  else if (isComing(answer.req)) announceLater(connection, answer)
  else answer.setHeader('connection', 'close')
}

/**
 * The same, if the whole request has come by the time of the answer. If not, Node would end the connection behind the answer, and what
 * comes then would be answered with a reset.
 */
function announceLater(connection: Connection, answer: ServerResponse): void {
  const writeHead = answer.writeHead as (...head: unknown[]) => ServerResponse
  answer.writeHead = (...head: unknown[]) => {
    if (isComing(answer.req)) connection.untold = true
    else answer.setHeader('connection', 'close')
    return writeHead.apply(answer, head)
  }
}

/** True of a request whose body is still to come. Of one that expects to be told to go on, nobody knows whether it does. */
function isComing({ complete, headers }: IncomingMessage): boolean {
  if (complete || headers.expect !== undefined) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

// After what is written has been handed over.
function closeSoon({ stream, session }: Connection): void {
  if (session !== undefined) session.close()
  else if (isSocket(stream)) stream.destroySoon()
  else stream.end(() => stream.destroy())
}

/** True while the end of a connection is under way. A reset fails then, and Node leaves its handle open for ever. */
function isEnding({ writableEnded, writableFinished }: Socket): boolean {
  return writableEnded && !writableFinished
}

/** A stream that is no socket does not count. */
function bytesSent(socket: Socket): number {
  return socket.bytesWritten ?? 0
}

/** Node takes any stream for a connection: `server.emit('connection', stream)`. */
function isSocket(stream: Socket): boolean {
  return 'resetAndDestroy' in stream
}

function haveSamePeer(a: Socket, b: Socket): boolean {
  return a.remotePort === b.remotePort && a.remoteAddress === b.remoteAddress
}
