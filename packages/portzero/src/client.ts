import type { Socket } from 'node:net'
import { clearTimeout, setTimeout } from 'node:timers'
import { setImmediate } from 'node:timers/promises'
// Before undici.
import './node-fetch.ts'
import { Agent, Pool, buildConnector, fetch as undiciFetch } from 'undici'
import type { Dispatcher } from 'undici'
import { PortzeroError } from './errors.ts'

/** What a client must know of its server. */
export interface Peer {
  readonly url: string
  readonly http2: boolean
  /** What its certificate is verified with, as PEM. Without it, it is not: nobody knows who signed it. */
  readonly ca?: string | undefined
}

/** The names that a certificate of ours stands for besides its host, as URLs have them. */
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** How long a body that a test has not read may keep its connection after the server is gone, in ms. */
const UNREAD_BODY = 1_000

/** The server's own client: `fetch` over a pool of connections. Opened with the first request, closed with the server. */
export class Client {
  readonly #peer: Peer
  readonly #ports: Set<number> = new Set()
  readonly #connecting: Set<Promise<void>> = new Set()
  #pending = 0
  #dispatcher: Dispatcher | undefined
  #closed = false

  constructor(peer: Peer) {
    this.#peer = peer
  }

  get dispatcher(): Dispatcher {
    return (this.#dispatcher ??= this.#createDispatcher())
  }

  async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    if (this.#closed) throw this.#closedError()
    this.#pending += 1
    try {
      const [url, request] = await this.#resolve(input, init)
      const options = { ...request, dispatcher: this.dispatcher } as Parameters<
        typeof undiciFetch
      >[1]
      return await undiciFetch(url, options)
    } catch (cause) {
      if (this.#closed) throw this.#closedError(cause)
      throw cause
    } finally {
      this.#pending -= 1
    }
  }

  /** True of the connections of this client, as its server sees them. */
  owns(socket: Socket): boolean {
    // The port is asked of the system for each: only where there is any.
    return this.#ports.size > 0 && this.#ports.has(socket.remotePort ?? 0)
  }

  /** Takes no more requests. Those on their way to the server go on. */
  stop(): void {
    this.#closed = true
  }

  /** The ports of its connections, once what it was asked to send has found one; `undefined` if it has nothing to send. */
  sending(): Promise<Iterable<number>> | undefined {
    return this.#pending === 0 ? undefined : this.#connected()
  }

  /** Closes idle connections; those in use close when they are done. */
  close(): void {
    const dispatcher = this.#dispatcher
    if (dispatcher === undefined) return
    const unread = setTimeout(() => void dispatcher.destroy(), UNREAD_BODY).unref()
    // A pool that is closed already, as whoever was given the dispatcher may have done, says so by rejecting.
    const closed = dispatcher.close().catch(() => {})
    void closed.finally(() => clearTimeout(unread))
  }

  /** Ends all that is left of it at once. */
  async destroy(): Promise<void> {
    await this.#dispatcher?.destroy()
  }

  async #connected(): Promise<Iterable<number>> {
    // By the next turn of the event loop each request has looked for a connection.
    await setImmediate()
    await Promise.all(this.#connecting)
    return this.#ports
  }

  async #resolve(input: string | URL | Request, init: RequestInit): Promise<[URL, RequestInit]> {
    if (input instanceof Request) {
      const request = new Request(input, init)
      const { method, headers, redirect, signal } = request
      const body = request.body === null ? null : await request.arrayBuffer()
      return [new URL(request.url), { method, headers: [...headers], redirect, signal, body }]
    }
    // A path is never taken for the name of another host, also when it begins with two slashes.
    const path = typeof input === 'string' && input.startsWith('/') ? this.#peer.url + input : input
    return [new URL(path, this.#peer.url), await withPlainBody(init)]
  }

  #createDispatcher(): Dispatcher {
    const { origin, protocol, port } = new URL(this.#peer.url)
    const { http2, ca } = this.#peer
    const speaks = { allowH2: http2, useH2c: http2 && protocol === 'http:' }
    // Our own socket leads to our own server and to nobody else: a certificate that the app has brought may be anyone's.
    const trust = ca === undefined ? { rejectUnauthorized: false } : { ca }
    const open = buildConnector({ ...speaks, ...trust })
    // An app may redirect to another name of the same machine, which stands in the certificate too.
    const own = new Set([origin])
    if (ca !== undefined) for (const name of LOOPBACK) own.add(`https://${name}:${port}`)
    const connect: typeof open = (options, callback) => {
      const connecting = new Promise<void>((resolve) => {
        open(options, (...outcome) => {
          const [error, socket] = outcome
          if (error === null) this.#keepPort(socket)
          callback(...outcome)
          resolve()
        })
      })
      this.#connecting.add(connecting)
      void connecting.then(() => this.#connecting.delete(connecting))
    }
    return new Agent({
      factory: (target, options: Pool.Options) =>
        own.has(new URL(target).origin)
          ? new Pool(target, { ...options, ...speaks, connect })
          : new Pool(target, options),
    })
  }

  #keepPort(socket: Socket): void {
    const { localPort } = socket
    if (localPort === undefined) return
    this.#ports.add(localPort)
    socket.once('close', () => this.#ports.delete(localPort))
  }

  #closedError(cause?: unknown): PortzeroError {
    return new PortzeroError(
      'SERVER_CLOSED',
      `The server at ${this.#peer.url} is closed or closing. Make the request before close(), or start a server with serve().`,
      cause === undefined ? {} : { cause },
    )
  }
}

/** The package's fetch knows only its own class of FormData, and would send Node's as the text "[object FormData]". */
async function withPlainBody(init: RequestInit): Promise<RequestInit> {
  if (!(init.body instanceof FormData)) return init
  const encoded = new Response(init.body)
  const headers = new Headers(init.headers)
  headers.set('content-type', encoded.headers.get('content-type') ?? '')
  return { ...init, headers: [...headers], body: await encoded.arrayBuffer() }
}
