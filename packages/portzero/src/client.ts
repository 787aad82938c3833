import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import type { Dispatcher, Pool } from 'undici'
import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import type { InFlight } from './types.ts'
import { undici } from './undici.ts'

/** What a client must know of its server. */
export interface Peer {
  readonly url: string
  /** Where others reach it, by which a redirect may name it. */
  readonly publicUrl?: string | undefined
  readonly http2: boolean
  /** What its certificate is verified with, as PEM. Without it, it is not: nobody knows who signed it. */
  readonly ca?: string | undefined
  /** The error to give instead of a network failure, if the server has died. */
  death?(): Promise<PortzeroError | undefined>
}

/** The names that a certificate of ours stands for besides its host, as URLs have them. */
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']

/** How long what is not answered, or not read, may keep its connection when it is let go of, in ms. */
const UNFINISHED = 1_000

/** What closing has to know of the client that belongs to the server. */
export type OwnClient = Pick<Client, 'owns' | 'stop' | 'sending' | 'close'>

interface Pending {
  method: string
  path: string
  readonly test: string | undefined
  readonly startedAt: number
}

/** The server's own client: `fetch` over a pool of connections. Opened with the first request, closed with the server. */
export class Client {
  /** Title of the test that is running, where a runner tells. */
  test: string | undefined
  readonly #peer: Peer
  readonly #ports: Set<number> = new Set()
  readonly #connecting: Set<Promise<void>> = new Set()
  readonly #pending: Set<Pending> = new Set()
  #onAnswered: (() => void)[] = []
  #dispatcher: Dispatcher | undefined
  readonly #pools: Set<Pool> = new Set()
  #closed = false

  constructor(peer: Peer) {
    this.#peer = peer
  }

  get dispatcher(): Dispatcher {
    return (this.#dispatcher ??= this.#createDispatcher())
  }

  async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    if (this.#closed) throw this.#closedError()
    const pending = { method: 'GET', path: '/', test: this.test, startedAt: performance.now() }
    this.#pending.add(pending)
    try {
      const url = this.#resolve(input)
      pending.path = url.pathname + url.search
      const { method = input instanceof Request ? input.method : 'GET' } = init
      pending.method = method.toUpperCase()
      const request = await plain(input, init)
      const { fetch } = undici()
      const options = { ...request, dispatcher: this.dispatcher } as Parameters<typeof fetch>[1]
      return await fetch(url, options)
    } catch (cause) {
      // A request that was aborted has failed for that reason alone.
      const { signal = input instanceof Request ? input.signal : undefined } = init
      if (signal?.aborted === true) throw cause
      if (this.#closed) throw this.#closedError(cause)
      const isNetworkFailure = cause instanceof Error && cause.name === 'TypeError'
      throw (isNetworkFailure && (await this.#peer.death?.())) || cause
    } finally {
      this.#pending.delete(pending)
      for (const look of this.#onAnswered.splice(0)) look()
    }
  }

  /** What was asked with `fetch` and has no answer yet, oldest first. */
  inFlight(): InFlight[] {
    const now = performance.now()
    return [...this.#pending].map(({ method, path, test, startedAt }) => ({
      kind: 'request',
      method,
      path,
      ageMs: now - startedAt,
      bytesSent: 0,
      ...(test !== undefined && { test }),
    }))
  }

  /** Resolves when everything that was asked with `fetch` has its answer. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await this.answered()
  }

  /** Resolves when the next of that has its answer. */
  answered(): Promise<void> {
    return new Promise((resolve) => this.#onAnswered.push(resolve))
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
    return this.#pending.size === 0 ? undefined : this.#connected()
  }

  /** The same, or after so many ms those that it has by then. */
  async sent(ms: number): Promise<Iterable<number>> {
    const sending = this.sending()
    if (sending === undefined) return []
    await settlesWithin(sending, ms)
    return this.#ports
  }

  /** Closes idle connections; those in use close when they are done. Resolves when all are. */
  async close(): Promise<void> {
    // A pool that is closed already, as whoever was given the dispatcher may have done, says so by rejecting.
    await this.#dispatcher?.close().catch(() => {})
  }

  /** Ends all that is left of it at once. */
  async destroy(): Promise<void> {
    // A dispatcher that is closing has forgotten its pools.
    const pools = [...this.#pools].map((pool) => pool.destroy())
    await Promise.all([this.#dispatcher?.destroy(), ...pools])
  }

  /** Lets go of a server that goes on. What that has not answered, or nobody has read, is given a moment, and up. */
  async letGo(): Promise<void> {
    this.stop()
    if (!(await settlesWithin(this.close(), UNFINISHED))) await this.destroy()
  }

  async #connected(): Promise<Iterable<number>> {
    // By the next turn of the event loop each request has looked for a connection.
    await setImmediate()
    await Promise.all(this.#connecting)
    return this.#ports
  }

  #resolve(input: string | URL | Request): URL {
    const { url } = this.#peer
    if (input instanceof Request) return new URL(input.url)
    // A path is never taken for the name of another host, also when it begins with two slashes.
    return new URL(typeof input === 'string' && input.startsWith('/') ? url + input : input, url)
  }

  #createDispatcher(): Dispatcher {
    const { Agent, Pool, buildConnector } = undici()
    const { origin, protocol, port, host, hostname } = new URL(this.#peer.url)
    const bound = { protocol, host, hostname: withoutBrackets(hostname), port }
    const { http2, ca } = this.#peer
    const speaks = { allowH2: http2, useH2c: http2 && protocol === 'http:' }
    // Our own socket leads to our own server and to nobody else: a certificate that the app has brought may be anyone's.
    const trust = ca === undefined ? { rejectUnauthorized: false } : { ca }
    const open = buildConnector({ ...speaks, ...trust })
    const advertised = new URL(this.#peer.publicUrl ?? origin)
    // An app may redirect to another name of the same machine, which stands in the certificate too.
    const own = new Set([origin])
    if (ca !== undefined) for (const name of LOOPBACK) own.add(`https://${name}:${port}`)
    own.add(advertised.origin)
    const connect: typeof open = (asked, callback) => {
      // Under that name it may be reached from elsewhere, and not from here.
      const isAdvertised = asked.hostname === withoutBrackets(advertised.hostname)
      const options = isAdvertised ? { ...asked, ...bound } : asked
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
      factory: (target, options: Pool.Options) => {
        const isOwn = own.has(new URL(target).origin)
        const pool = new Pool(target, isOwn ? { ...options, ...speaks, connect } : options)
        this.#pools.add(pool)
        return pool
      },
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
      `The server at ${this.#peer.url} is closed, closing or being restarted. Make the request before close(), or once restart() has resolved; or start a server with serve().`,
      cause === undefined ? {} : { cause },
    )
  }
}

function withoutBrackets(hostname: string): string {
  return hostname.replaceAll(/[[\]]/g, '')
}

/** What is to be sent, in what the package's fetch knows: it has classes of its own. */
async function plain(input: string | URL | Request, init: RequestInit): Promise<RequestInit> {
  if (!(input instanceof Request)) return withPlainBody(init)
  const request = new Request(input, init)
  const { method, headers, redirect, signal } = request
  const body = request.body === null ? null : await request.arrayBuffer()
  return { method, headers: [...headers], redirect, signal, body }
}

/** The package's fetch knows only its own class of FormData, and would send Node's as the text "[object FormData]". */
async function withPlainBody(init: RequestInit): Promise<RequestInit> {
  if (!(init.body instanceof FormData)) return init
  const encoded = new Response(init.body)
  const headers = new Headers(init.headers)
  headers.set('content-type', encoded.headers.get('content-type') ?? '')
  return { ...init, headers: [...headers], body: await encoded.arrayBuffer() }
}
