import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { setTimeout } from 'node:timers'
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
  session?: Http2Session
  /** In the order of their arrival. Nearly always one: an array is faster than a set. */
  readonly exchanges: Exchange[]
  /** When its last exchange ended; undefined if it had none. */
  usedAt?: number
  /** Set once its closing has begun. */
  ending?: 'when answered' | 'by its client'
  /** True if its last answer was on its way before it could tell the client that the connection ends. */
  untold: boolean
}

/**
 * How long a connection that was just used is kept open while closing, in ms: a client that reuses it may have a request on
 * the wire already, which would be lost.
 */
const LINGER = 25

/** Says of a connection whether its client is our own. */
export type IsOurs = (socket: Socket) => boolean

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
  /** Set while closing. */
  #endingFor: IsOurs | undefined
  /** True while closing: the server's own 'close' event then waits until it is closed as a whole. */
  #holdsClose = false
  #unwatch: () => void = () => {}
  #onOpened: (connection: Connection) => void = () => {}
  #onEmpty: () => void = () => {}
  #onEnded: (() => void)[] = []

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
      // By far the most frequent: for a request nothing is made but its exchange.
      this.#requested(args[0] as IncomingMessage, args[1] as ServerResponse)
      return emit.call(server, event, args[0], args[1])
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
    return [...this.#connections]
      .flatMap(({ socket, exchanges }) =>
        exchanges.map((exchange) => ({
          kind: kindOf(exchange),
          method: exchange.method,
          path: exchange.path,
          ageMs: now - exchange.startedAt,
          bytesSent: socket.bytesWritten - exchange.sentBefore,
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
  async drain(ours: IsOurs): Promise<void> {
    this.#holdsClose = true
    this.#endingFor = ours
    for (const connection of this.#connections) end(connection, ours)
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => (this.#onEmpty = resolve))
    }
    this.#holdsClose = false
    this.#endingFor = undefined
  }

  /** Cuts off all connections that are left, as a reset that no client takes for an answer, and says what was lost. */
  cut(): InFlight[] {
    const lost = this.inFlight()
    for (const { socket, stream, session } of this.#connections) {
      // A session resets its streams itself; a socket that is reset under it would never tell that it closed.
      if (session !== undefined) session.destroy()
      else if (isEnding(stream)) socket.destroy()
      else socket.resetAndDestroy()
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
      case 'checkExpectation':
        return this.#requested(args[0] as IncomingMessage, args[1] as ServerResponse)
      case 'upgrade':
      case 'connect':
        return this.#upgraded(args[0] as IncomingMessage, args[1] as Socket)
    }
  }

  #connected(socket: Socket): void {
    const connection: Connection = {
      socket,
      stream: socket,
      exchanges: [],
      untold: false,
    }
    this.#opened += 1
    this.#connections.add(connection)
    this.#byPart.set(socket, connection)
    this.#arriving = connection
    this.#onOpened(connection)
    socket.once('close', () => {
      connection.exchanges.length = 0
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
    if (stream.session !== undefined) this.#began(stream.session, method, path, stream)
  }

  #requested(request: IncomingMessage, response: ServerResponse): void {
    // HTTP/2 has announced the same request as a stream.
    if (request.httpVersionMajor >= 2) return
    const { method = 'GET', url = '/', socket } = request
    const connection = this.#began(socket, method, url, response)
    if (connection !== undefined && this.#endingFor !== undefined) end(connection, this.#endingFor)
  }

  #upgraded(request: IncomingMessage, socket: Socket): void {
    const { method = 'GET', url = '/', headers } = request
    const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket'
    this.#began(socket, method, url, undefined, isWebSocket ? socket : undefined)
  }

  #began(
    part: Socket | Http2Session,
    method: string,
    path: string,
    answer: Answer | undefined,
    webSocket?: Duplex,
  ): Connection | undefined {
    const connection = this.#byPart.get(part)
    if (connection === undefined) return undefined
    const exchange: Exchange = {
      method,
      path,
      startedAt: performance.now(),
      sentBefore: connection.socket.bytesWritten,
      test: this.test,
      answer,
      webSocket,
    }
    connection.exchanges.push(exchange)
    const ended = (): void => {
      const index = connection.exchanges.indexOf(exchange)
      if (index === -1) return
      connection.exchanges.splice(index, 1)
      connection.usedAt = performance.now()
      this.#ended()
      if (connection.exchanges.length > 0) return
      if (connection.ending === 'by its client') linger(connection, LINGER)
      if (connection.ending !== 'when answered') return
      if (connection.untold) linger(connection, LINGER)
      else closeSoon(connection)
    }
    // Not once(): what removes it again costs more than to be told twice.
    answer?.on('close', ended)
    // A stream of HTTP/2 may close long after its answer is handed over.
    if (answer !== undefined && 'sentHeaders' in answer) answer.on('finish', ended)
    return connection
  }

  #ended(): void {
    if (this.#onEnded.length === 0) return
    for (const look of this.#onEnded.splice(0)) look()
  }
}

function kindOf({ answer, method }: Exchange): InFlight['kind'] {
  if (answer === undefined || method === 'CONNECT') return 'upgrade'
  return isEventStream(answer) ? 'stream' : 'request'
}

/** Starts the end of a connection, as it has to be for its client and for what is in flight. */
function end(connection: Connection, ours: IsOurs): void {
  if (connection.ending === 'when answered') return announceLast(connection)
  for (const { answer, webSocket, sentBefore } of connection.exchanges) {
    if (answer !== undefined && isEventStream(answer)) endEventStream(answer)
    // Nothing is said before the answer to its request, which belongs to the app.
    const open = connection.socket.bytesWritten > sentBefore
    if (webSocket !== undefined && open) sayGoodbye(webSocket)
  }
  if (ours(connection.socket)) return linger(connection, LINGER)
  connection.ending = 'when answered'
  connection.session?.close()
  if (connection.exchanges.length > 0) return announceLast(connection)
  if (connection.session !== undefined) return giveUp(connection)
  const sinceUse = performance.now() - (connection.usedAt ?? -Infinity)
  if (sinceUse < LINGER) return linger(connection, LINGER - sinceUse)
  connection.socket.destroy()
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

/** Ends a session that its client does not end, though it has nothing in flight: it may have sent half a frame. */
function giveUp({ session, exchanges }: Connection): void {
  setTimeout(() => {
    if (exchanges.length === 0) session?.destroy()
  }, LINGER)
}

/** Tells the client, with the last answer that is due on the connection, that no further one comes. */
function announceLast(connection: Connection): void {
  const answer = connection.exchanges.at(-1)?.answer
  if (answer === undefined || !('setHeader' in answer)) return
  // An answer that is on its way already cannot say so, and its client may ask again as soon as it has it.
  if (answer.headersSent) connection.untold = answer.writableEnded && !isEventStream(answer)
  else answer.setHeader('connection', 'close')
}

// After what is written has been handed over.
function closeSoon({ stream, session }: Connection): void {
  if (session === undefined) stream.destroySoon()
  else session.close()
}

/** True while the end of a connection is under way. A reset fails then, and Node leaves its handle open for ever. */
function isEnding({ writableEnded, writableFinished }: Socket): boolean {
  return writableEnded && !writableFinished
}

function haveSamePeer(a: Socket, b: Socket): boolean {
  return a.remotePort === b.remotePort && a.remoteAddress === b.remoteAddress
}
