import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Blocker, NodeServer } from './types.ts'

/** A request and its answer, from its arrival until the answer is handed over or given up. */
interface Exchange {
  readonly kind: 'request' | 'upgrade'
  readonly method: string
  readonly path: string
  readonly startedAt: number
  readonly response?: ServerResponse
}

/** A connection of a client, and what is in flight on it. */
interface Connection {
  readonly socket: Socket
  /** What speaks HTTP: the socket itself, or what decrypts it. */
  stream: Socket
  session?: Http2Session
  readonly exchanges: Set<Exchange>
  /** When its last exchange ended; undefined if it had none. */
  usedAt?: number
  /** Set once its closing has begun. */
  ending?: 'when answered' | 'by its client'
}

/**
 * How long a connection that was just used is kept open while closing, in ms: a client that reuses it may have a request on
 * the wire already, which would be lost.
 */
const LINGER = 25

/**
 * Knows every connection of a server and what is in flight on it, and closes them. What is in flight is counted per
 * connection and dropped with it, so that neither an abort nor pipelining leaves a count behind.
 */
export class Connections {
  readonly #connections: Set<Connection> = new Set()
  /** The connection of each socket and session. */
  readonly #byPart: WeakMap<object, Connection> = new WeakMap()
  /** The connection that the server is just told of: its session is made meanwhile. */
  #arriving: Connection | undefined
  /** True while closing: the server's own 'close' event then waits until it is closed as a whole. */
  #holdsClose = false
  #unwatch: () => void = () => {}
  #onOpened: (connection: Connection) => void = () => {}
  #onEmpty: () => void = () => {}

  /**
   * Follows what happens on `server`. Its events are read on their way, not by listeners: a listener for 'upgrade' or
   * 'checkContinue' would change what the server does.
   */
  watch(server: NodeServer): void {
    const emit = server.emit as (event: string, ...args: unknown[]) => boolean
    const own = Object.getOwnPropertyDescriptor(server, 'emit')
    server.emit = (event: string, ...args: unknown[]): boolean => {
      // Node emits it as soon as a server that takes no connections has none left.
      if (event === 'close' && this.#holdsClose) return true
      this.#observe(event, args)
      const handled = emit.call(server, event, ...args)
      this.#arriving = undefined
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
  inFlight(): Blocker[] {
    const now = performance.now()
    return [...this.#connections]
      .flatMap((connection) => [...connection.exchanges])
      .map(({ kind, method, path, startedAt }) => ({ kind, method, path, ageMs: now - startedAt }))
      .toSorted((a, b) => b.ageMs - a.ageMs)
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

  /**
   * Closes what is idle, never used or half sent, lets what is in flight finish, and resolves when no connection is left.
   * A connection whose client closes it, as `ours` says by its port, is left to it for a moment. Until then the server emits
   * no 'close' event: it is the sign for what the app itself does at the end.
   */
  async drain(ours: (port: number | undefined) => boolean): Promise<void> {
    this.#holdsClose = true
    for (const connection of this.#connections) {
      if (ours(connection.socket.remotePort)) linger(connection, LINGER)
      else wind(connection)
    }
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => (this.#onEmpty = resolve))
    }
    this.#holdsClose = false
  }

  /** Cuts off all connections that are left, as a reset that no client takes for an answer, and says what was lost. */
  cut(): Blocker[] {
    const lost = this.inFlight()
    for (const { socket, stream, session } of this.#connections) {
      // A session resets its streams itself; a socket that is reset under it would never tell that it closed.
      if (session !== undefined) session.destroy()
      else socket.resetAndDestroy()
      stream.destroy()
    }
    return lost
  }

  #observe(event: string, args: unknown[]): void {
    switch (event) {
      case 'connection':
        return this.#opened(args[0] as Socket)
      case 'secureConnection':
        return this.#secured(args[0] as Socket)
      case 'session':
        return this.#joined(args[0] as Http2Session)
      case 'stream':
        return this.#streamed(args[0] as ServerHttp2Stream, args[1] as Record<string, string>)
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        return this.#requested(args[0] as IncomingMessage, args[1] as ServerResponse)
      case 'upgrade':
      case 'connect':
        return this.#upgraded(args[0] as IncomingMessage, args[1] as Socket)
    }
  }

  #opened(socket: Socket): void {
    const connection: Connection = { socket, stream: socket, exchanges: new Set() }
    this.#connections.add(connection)
    this.#byPart.set(socket, connection)
    this.#arriving = connection
    this.#onOpened(connection)
    socket.once('close', () => {
      connection.exchanges.clear()
      this.#connections.delete(connection)
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
    const exchange: Exchange = { kind: 'request', method, path, startedAt: performance.now() }
    if (stream.session !== undefined) this.#began(stream.session, exchange, stream)
  }

  #requested(request: IncomingMessage, response: ServerResponse): void {
    // HTTP/2 has announced the same request as a stream.
    if (request.httpVersionMajor >= 2) return
    const { method = 'GET', url: path = '/', socket } = request
    const exchange: Exchange = {
      kind: 'request',
      method,
      path,
      startedAt: performance.now(),
      response,
    }
    const connection = this.#began(socket, exchange, response)
    if (connection?.ending === 'when answered') announceLast(connection)
  }

  #upgraded(request: IncomingMessage, socket: Socket): void {
    const { method = 'GET', url: path = '/' } = request
    this.#began(socket, { kind: 'upgrade', method, path, startedAt: performance.now() })
  }

  #began(
    part: Socket | Http2Session,
    exchange: Exchange,
    answer?: ServerResponse | ServerHttp2Stream,
  ): Connection | undefined {
    const connection = this.#byPart.get(part)
    if (connection === undefined) return undefined
    connection.exchanges.add(exchange)
    const ended = (): void => {
      if (!connection.exchanges.delete(exchange)) return
      connection.usedAt = performance.now()
      if (connection.exchanges.size > 0) return
      if (connection.ending === 'when answered') closeSoon(connection)
      if (connection.ending === 'by its client') linger(connection, LINGER)
    }
    answer?.once('finish', ended).once('close', ended)
    return connection
  }
}

/** Starts the end of a connection of some other client. */
function wind(connection: Connection): void {
  connection.ending = 'when answered'
  if (connection.session !== undefined) return connection.session.close()
  if (connection.exchanges.size > 0) return announceLast(connection)
  const sinceUse = performance.now() - (connection.usedAt ?? -Infinity)
  if (sinceUse < LINGER) return linger(connection, LINGER - sinceUse)
  connection.socket.destroy()
}

/** Closes a connection after `ms`, unless a request has come on it by then. */
function linger(connection: Connection, ms: number): void {
  connection.ending ??= 'by its client'
  setTimeout(() => {
    // What has come in meanwhile is read before an immediate runs, also where the process was too busy to look.
    setImmediate(() => {
      if (connection.exchanges.size === 0) closeSoon(connection)
    })
  }, ms)
}

/** Tells the client, with the last answer that is due on the connection, that no further one comes. */
function announceLast({ exchanges }: Connection): void {
  const last = [...exchanges].at(-1)
  if (last?.response !== undefined && !last.response.headersSent) {
    last.response.setHeader('connection', 'close')
  }
}

// After what is written has been handed over.
function closeSoon({ stream, session }: Connection): void {
  if (session !== undefined) session.close()
  else stream.destroySoon()
}

function haveSamePeer(a: Socket, b: Socket): boolean {
  return a.remotePort === b.remotePort && a.remoteAddress === b.remoteAddress
}
