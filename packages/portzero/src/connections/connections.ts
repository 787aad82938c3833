import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse, Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers'
import { TURNS, turns } from '../turns.ts'
import type { InFlight, NodeServer } from '../types.ts'
import { isAsked, isUnended, whenPushed } from './answer.ts'
import type { Answer } from './answer.ts'
import { end, endExchange, endOn, isAtRest, noteArrival } from './connection-end.ts'
import type { Closing } from './connection-end.ts'
import {
  answerOn,
  bytesHandedOver,
  bytesSent,
  exchangesOf,
  isEndless,
  isEnding,
  isSocket,
  isUpgrade,
  requestOn,
  reset,
  stillSent,
} from './connection.ts'
import type { Connection, Exchange } from './connection.ts'
import { whenAccepted, whenAcceptedOver } from './web-socket.ts'
import type { ServedWebSocket } from './web-socket.ts'

/** An answer of so many bytes is handed over as soon as it is given: the system takes them at once. */
const SMALL = 16_384

/** How often is looked at what is in flight while its end is waited for, in ms. */
const LOOK = 25

/** Of HTTP/2, RFC 9113. To a client that has all it asked for an end is no error. */
const NO_ERROR = 0x0

/** Without an error, clients take what has come for the whole answer. */
const INTERNAL_ERROR = 0x2

/**
 * Knows every connection of a server and what is in flight on it, and closes them. What is in flight is counted per
 * connection and dropped with it, so that neither an abort nor pipelining leaves a count behind.
 */
export class Connections {
  /** Title of the test that is running, where a runner tells. */
  test: string | undefined
  #server: NodeServer | undefined
  readonly #connections: Set<Connection> = new Set()
  /** Where each socket and session keeps its connection: in a map it would be found more slowly, for each request. */
  readonly #key: symbol = Symbol('portzero.connection')
  /** The connection that the server is just told of: its session is made meanwhile. */
  #arriving: Connection | undefined
  #opened = 0
  #closing: Closing | undefined
  #lost: InFlight[] = []
  /** True while closing: the server's own 'close' event then waits until all connections are closed. */
  #holdsClose = false
  /** Emits the one that waits. */
  #heldClose: (() => void) | undefined
  #unwatch: () => void = () => {}
  #onOpened: (connection: Connection) => void = () => {}
  #onEmpty: () => void = () => {}
  #onEnded: (() => void)[] = []
  readonly #onChange: (() => void) | undefined

  /** `onChange` is told whenever what is in flight changes. */
  constructor(onChange?: () => void) {
    this.#onChange = onChange
  }

  /**
   * Follows what happens on `server`. Its events are read on their way, not by listeners: a listener for 'upgrade' or
   * 'checkContinue' would change what the server does.
   */
  watch(server: NodeServer): void {
    this.#server = server
    const emit = server.emit as (event: string, ...args: unknown[]) => boolean
    const observe = (event: string, args: unknown[]): boolean => {
      // Node emits it as soon as a server that takes no connections has none left.
      if (event === 'close' && this.#holdsClose) {
        this.#heldClose = () => void emit.call(server, event, ...args)
        return true
      }
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
      // Who is told that it is in flight is told of its end.
      if (this.#onChange !== undefined && connection !== undefined && !isQuick(connection, answer))
        this.#settle(connection)
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
    const inFlight: InFlight[] = []
    for (const connection of this.#connections) {
      this.#settle(connection)
      for (const exchange of exchangesOf(connection)) {
        const { method, path, startedAt, test } = exchange
        const [kind, sent] = [kindOf(exchange), sentOf(connection, exchange)]
        const one = { kind, method, path, ageMs: now - startedAt, bytesSent: sent }
        inFlight.push(test === undefined ? one : { ...one, test })
      }
    }
    return inFlight.toSorted((a, b) => b.ageMs - a.ageMs)
  }

  /** Resolves when no request is in flight; what ends only by being ended does not count. */
  async idle(): Promise<void> {
    while (this.inFlight().some(({ kind }) => kind === 'request')) await this.ended()
  }

  /** Resolves when the next of what is in flight has ended, or earlier: one that turns out to be an event stream has no end. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEnded.push(resolve)
      setTimeout(resolve, LOOK)
    })
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
    for (const { stream } of this.#connections) if (!stream.writableEnded) return false
    return true
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
    this.#lost = []
    this.#each((connection) => {
      if (!isAtRest(connection, closing)) return this.#end(connection, closing)
      // As few steps as possible for what is often by far the most. A socket is closed now, and says so a turn later.
      connection.socket.destroy()
      if (isSocket(connection.socket)) this.#connections.delete(connection)
    })
    await new Promise<void>((resolve) => {
      if (this.#connections.size > 0) this.#onEmpty = resolve
      // After the 'close' event that the last of them has brought about.
      else process.nextTick(resolve)
    })
    this.#holdsClose = false
    this.#closing = undefined
    if (this.#heldClose !== undefined) await emitted(this.#heldClose)
    this.#heldClose = undefined
  }

  /** Waits no longer for those that do not end, though they were cut off. */
  forget(): void {
    this.#connections.clear()
    this.#onEmpty()
  }

  /** What was cut off since closing began. */
  get lost(): readonly InFlight[] {
    return this.#lost
  }

  /** Cuts off all connections, as a reset that no client takes for an answer. */
  reset(): void {
    if (this.#closing !== undefined) this.#lost.push(...this.inFlight())
    this.#each(cut)
  }

  /** The same for those with something in flight. What was handed over on others as a whole, and is yet to be read, is left to their clients. */
  cut(): void {
    this.#lost.push(...this.inFlight())
    this.#each((connection) => {
      const { socket, stream, session } = connection
      if (exchangesOf(connection).length > 0) cut(connection)
      else if (session !== undefined) void endSession(session, stream, NO_ERROR)
      else socket.destroy()
    })
  }

  /** Does the same with each connection. */
  #each(act: (connection: Connection) => void): void {
    for (const connection of this.#connections) {
      try {
        act(connection)
      } catch {
        // What the app has put in the place of Node's own: the other connections have nothing to do with that.
      }
    }
  }

  #observe(event: string, args: unknown[]): void {
    switch (event) {
      case 'connection':
        return void (this.#continued(args[0] as Socket) ?? this.#connected(args[0] as Socket))
      case 'secureConnection':
        return void this.#continued(args[0] as Socket)
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

  /** There is no part where an app, or a test of it, makes up a request: `server.emit('request', …)`. */
  #of(part: object | undefined): Connection | undefined {
    return (part as Record<symbol, Connection | undefined> | undefined)?.[this.#key]
  }

  #keep(part: object, connection: Connection): void {
    // Seen by nobody who looks at the socket.
    Reflect.defineProperty(part, this.#key, { value: connection, configurable: true })
  }

  /** One that a server had before it was watched. An app may also hand on what has come to another server. */
  #adopted(socket: (Socket & { server?: unknown }) | undefined): Connection | undefined {
    if (socket === undefined || socket.server !== this.#server) return undefined
    return this.#connected(socket)
  }

  #connected(stream: Socket): Connection {
    const socket = encryptedBy(stream)
    const connection: Connection = {
      method: '',
      path: '',
      startedAt: -Infinity,
      sentBefore: 0,
      test: undefined,
      isReused: false,
      isFollowed: true,
      socket,
      stream,
      session: undefined,
      exchanges: [],
      last: undefined,
      usedAt: -Infinity,
      ending: undefined,
      endingSince: Infinity,
      settledAt: Infinity,
      isAnswered: false,
      isPipelined: false,
      isSpared: false,
    }
    this.#opened += 1
    this.#connections.add(connection)
    this.#keep(socket, connection)
    if (stream !== socket) this.#keep(stream, connection)
    this.#arriving = connection
    this.#onOpened(connection)
    // Not once(): what removes it again costs more than it saves, as each closes once.
    socket.on('close', () => {
      connection.exchanges.length = 0
      this.#connections.delete(connection)
      this.#ended()
      if (this.#connections.size === 0) this.#onEmpty()
    })
    // The app hands in what has come elsewhere: its first request may be on the wire.
    if (this.#closing !== undefined) {
      connection.usedAt = performance.now()
      this.#end(connection, this.#closing)
    }
    return connection
  }

  /** One that is known: it is decrypted now, or its app has looked into it and hands it in again. */
  #continued(stream: Socket): Connection | undefined {
    const connection = this.#of(encryptedBy(stream))
    if (connection === undefined) return undefined
    connection.stream = stream
    this.#keep(stream, connection)
    this.#arriving = connection
    return connection
  }

  #joined(session: Http2Session): void {
    if (this.#arriving === undefined) return
    this.#arriving.session = session
    this.#keep(session, this.#arriving)
  }

  #streamed(stream: ServerHttp2Stream, headers: Record<string, string>): void {
    const { ':method': method = 'GET', ':path': path = '/' } = headers
    const { session } = stream
    if (session === undefined) return
    const exchange = this.#began(session, { method, path, answer: stream })
    if (exchange !== undefined && headers[':protocol'] === 'websocket')
      whenAcceptedOver(stream, (webSocket) => this.#accepted(exchange, webSocket))
    whenPushed(stream, (pushed, { ':path': asked = '/' }) => {
      this.#began(session, { method: 'GET', path: String(asked), answer: pushed })
    })
  }

  #requested(request: IncomingMessage, response: ServerResponse): Connection | undefined {
    if (request.httpVersionMajor >= 2) return this.#joinedBy(response)
    const connection = this.#of(request.socket) ?? this.#adopted(request.socket)
    if (connection === undefined) return undefined
    // An app may emit it again.
    if (connection.isFollowed && follows(connection, response)) return undefined
    const isNext = answerOn(connection) === response
    const sent = isNext ? bytesHandedOver(connection.stream) : bytesSent(connection.stream)
    if (isNext && isNoted(connection, sent)) return undefined
    if (!isNext) this.#overtaken(connection)
    connection.isFollowed = !isNext
    connection.isReused = !isUntold(connection)
    connection.sentBefore = sent
    connection.method = request.method ?? 'GET'
    connection.path = request.url ?? '/'
    connection.startedAt = performance.now()
    connection.test = this.test
    if (!isNext) this.#follow(connection, begun(connection, response))
    if (this.#closing !== undefined) {
      noteArrival(connection, request)
      this.#end(connection, this.#closing)
    }
    // Whoever is told may look at what is in flight, which this is then part of.
    this.#onChange?.()
    return connection
  }

  /** A request comes while the answer to the one before is on its way. */
  #overtaken(connection: Connection): void {
    this.#settle(connection)
    // Also one that is given, and followed no more: Node has read both requests at once.
    if (answerOn(connection) !== undefined) connection.isPipelined = true
  }

  /** HTTP/2 has announced the same request as a stream. */
  #joinedBy(given: unknown): undefined {
    const response = given as Http2ServerResponse
    const { stream } = response
    const connection = stream?.session && this.#of(stream.session)
    const exchange = connection?.exchanges.findLast(({ answer }) => answer === stream)
    if (exchange !== undefined) exchange.response = response
  }

  #upgraded(request: IncomingMessage, socket: Socket): void {
    // Announced as a stream.
    if (request.httpVersionMajor >= 2) return
    const { method = 'GET', url: path = '/', headers } = request
    // What speaks on may be what Node has wrapped round the socket, while a part of the request is still to come.
    const exchange = this.#began(request.socket, { method, path })
    if (exchange === undefined || headers.upgrade?.toLowerCase() !== 'websocket') return
    whenAccepted(socket, (webSocket) => this.#accepted(exchange, webSocket))
  }

  #accepted(exchange: Exchange, webSocket: ServedWebSocket): void {
    exchange.webSocket = webSocket
    if (this.#closing !== undefined) webSocket.dismiss()
  }

  #began(
    part: Socket | Http2Session,
    what: Pick<Exchange, 'method' | 'path'> & Partial<Pick<Exchange, 'answer'>>,
  ): Exchange | undefined {
    const connection = this.#of(part)
    if (connection === undefined) return undefined
    this.#settle(connection)
    connection.isFollowed = true
    const { method, path, answer } = what
    const [startedAt, sentBefore] = [performance.now(), bytesSent(connection.stream)]
    const exchange = begun({ method, path, startedAt, sentBefore, test: this.test }, answer)
    this.#follow(connection, exchange)
    this.#onChange?.()
    return exchange
  }

  /** Follows the last request to its end, unless it is over. */
  #settle(connection: Connection): void {
    const answer = answerOn(connection)
    if (answer === undefined || answer.destroyed || connection.stream.destroyed) return
    const isUnknown = isUntold(connection) && connection.exchanges.length === 0
    if (connection.isFollowed && !isUnknown) return
    connection.isFollowed = true
    this.#follow(connection, begun(beginningOf(connection, answer.req), answer))
  }

  #follow(connection: Connection, exchange: Exchange): void {
    connection.exchanges.push(exchange)
    if (connection.ending !== undefined) endExchange(connection, exchange)
    const { answer } = exchange
    if (answer === undefined) return
    answer.on('close', () => this.#over(connection, exchange))
    if (connection.session !== undefined)
      answer.on('finish', () => void this.#finished(connection, exchange))
    // Before Node sends what has been waiting behind it.
    else answer.prependListener('finish', () => passOn(connection, exchange))
  }

  /** A stream of HTTP/2 may close long after its answer is handed over. */
  async #finished(connection: Connection, exchange: Exchange): Promise<void> {
    const stream = exchange.answer as ServerHttp2Stream
    if (isUnended(stream)) await turns(TURNS)
    if (isUnended(stream)) return
    if (!isAsked(stream)) return this.#over(connection, exchange)
    exchange.isAnswered = true
    this.#ended()
    if (connection.ending !== undefined) endExchange(connection, exchange)
  }

  /** An exchange has ended, if it had not yet. */
  #over(connection: Connection, exchange: Exchange): void {
    const { exchanges, session } = connection
    const index = exchanges.indexOf(exchange)
    if (index === -1) return
    const rest = connection.ending === undefined ? undefined : stillSent(connection, exchange)
    if (rest !== undefined) return this.#whenSent(connection, exchange, rest)
    exchanges.splice(index, 1)
    if (session !== undefined) connection.last = exchange
    connection.usedAt = performance.now()
    this.#ended()
    endOn(connection, exchange)
  }

  /** Reads the rest of a request that is answered, as whoever has answered may not: an exchange is not over before. */
  #whenSent(connection: Connection, exchange: Exchange, request: IncomingMessage): void {
    request.once('close', () => this.#over(connection, exchange)).resume()
  }

  #end(connection: Connection, closing: Closing): void {
    this.#settle(connection)
    const { exchanges, ending } = connection
    if (ending !== undefined) return
    const request = requestOn(connection)
    if (exchanges.length === 0 && request !== undefined) {
      const exchange = begun(beginningOf(connection, request))
      exchange.isAnswered = true
      connection.isAnswered = true
      exchanges.push(exchange)
      this.#whenSent(connection, exchange, request)
    }
    end(connection, closing)
  }

  #ended(): void {
    this.#onChange?.()
    if (this.#onEnded.length === 0) return
    for (const look of this.#onEnded.splice(0)) look()
  }
}

type Beginning = Pick<Exchange, 'method' | 'path' | 'startedAt' | 'sentBefore' | 'test'>

/** An exchange of which nothing but its beginning is known. Field by field, as that is faster: many requests have one. */
function begun(
  { method, path, startedAt, sentBefore, test }: Beginning,
  answer?: Answer,
): Exchange {
  return {
    method,
    path,
    startedAt,
    sentBefore,
    test,
    answer,
    response: undefined,
    isEndless: undefined,
    webSocket: undefined,
    isAnswered: false,
  }
}

/**
 * True of a connection on which the server has been told of no request. Node answers by itself one whose `Expect` it does not know, and an app may
 * hand a connection to another server.
 */
function isUntold({ startedAt }: Connection): boolean {
  return startedAt === -Infinity
}

/** What was noted of the last request of a connection, or what can be known of one that nobody has told: it came no later than now. */
function beginningOf(connection: Connection, request: IncomingMessage): Beginning {
  if (!isUntold(connection)) return connection
  const { method = 'GET', url: path = '/' } = request
  return { method, path, startedAt: performance.now(), sentBefore: 0, test: undefined }
}

/** True if an answer is followed to its end. */
function follows({ exchanges }: Connection, answer: ServerResponse): boolean {
  return exchanges.some((exchange) => exchange.answer === answer)
}

/** True if what is being answered came before: between two requests on a connection something is sent, and nothing was since the last. */
function isNoted(connection: Connection, sent: number): boolean {
  const { sentBefore, isFollowed, stream } = connection
  return sent === sentBefore && !isUntold(connection) && !isFollowed && isSocket(stream)
}

/** True if an answer that was given at once will be over before its connection is used again. */
function isQuick({ exchanges }: Connection, answer: ServerResponse): boolean {
  return answer.writableEnded && exchanges.length === 0 && answer.writableLength < SMALL
}

/** Those whose answers go out one after another. What the connection became instead waits for none, and none for it. */
function inLine({ exchanges }: Connection): Exchange[] {
  return exchanges.filter(({ answer }) => answer !== undefined)
}

/** What was sent of an answer. The answers to requests that are sent ahead wait in line. */
function sentOf(connection: Connection, exchange: Exchange): number {
  const { stream, session } = connection
  if (session === undefined && inLine(connection).indexOf(exchange) > 0) return 0
  return bytesSent(stream) - exchange.sentBefore
}

/** An answer is sent: the one that is next in line begins. */
function passOn(connection: Connection, exchange: Exchange): void {
  const line = inLine(connection)
  const next = line[line.indexOf(exchange) + 1]
  if (next !== undefined) next.sentBefore = bytesSent(connection.stream)
}

/** Emits an event as Node does: where a listener of the app's throws, it is nobody else's error. */
function emitted(emit: () => void): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(() => {
      resolve()
      emit()
    })
  })
}

function cut(connection: Connection): void {
  const { socket, stream, session, exchanges } = connection
  const unanswered = exchanges.splice(0)
  connection.last = undefined
  if (session !== undefined) {
    // Node tells each of its streams of the error, which would end a process that does not listen.
    for (const { answer } of unanswered) answer?.on('error', () => {})
    return void endSession(session, stream, INTERNAL_ERROR)
  }
  if (isEnding(stream)) socket.destroy()
  else reset(socket)
  stream.destroy()
}

/** A session resets its streams itself; a socket that is reset under it would never tell that it closed. */
async function endSession(session: Http2Session, stream: Socket, code: number): Promise<void> {
  try {
    if (!session.destroyed) session.goaway(code)
    // What is encrypted is sent a little later.
    await turns(1)
    session.destroy(null as unknown as undefined, code)
  } catch {
    // What the app has put in the place of Node's own: its client is told by the end of the connection.
  }
  stream.destroy()
}

function kindOf(exchange: Exchange): InFlight['kind'] {
  if (isUpgrade(exchange) || exchange.method === 'CONNECT') return 'upgrade'
  return isEndless(exchange) ? 'stream' : 'request'
}

/** What carries an encrypted connection. Node wraps what is no socket of its own. */
function encryptedBy(stream: Socket): Socket {
  const { _parent: parent } = stream as Socket & { _parent?: (Socket & { stream?: Socket }) | null }
  return parent?.stream ?? parent ?? stream
}
