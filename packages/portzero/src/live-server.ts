import type { Dispatcher } from 'undici'
import { Client } from './client.ts'
import { Connections } from './connections.ts'
import { PortzeroError, messageOf } from './errors.ts'
import { checkCloseOptions } from './options.ts'
import type { Settings } from './options.ts'
import { InlineRuntime } from './runtimes/inline.ts'
import { shutDown } from './shutdown.ts'
import type { Hook } from './shutdown.ts'
import type { BoundSocket } from './socket.ts'
import { isHttp2, isSecure } from './target.ts'
import type { CloseOptions, CloseReport, FactoryContext, LiveServer, NodeServer } from './types.ts'

/** The one implementation of {@link LiveServer}: a bound socket, the app that runs on it, and all that is to be closed. */
export class Live implements LiveServer {
  readonly host: string
  readonly port: number
  readonly runtime: InlineRuntime
  readonly #settings: Settings
  readonly #socket: BoundSocket
  readonly #connections: Connections = new Connections()
  readonly #client: Client = new Client(this)
  /** Made when a factory asks for its signal. */
  #abort: AbortController | undefined
  readonly #hooks: Hook[] = []
  #server: NodeServer | undefined
  #closing: Promise<CloseReport> | undefined

  constructor(socket: BoundSocket, settings: Settings) {
    this.host = settings.host
    this.port = socket.port
    this.#settings = settings
    this.#socket = socket
    this.runtime = new InlineRuntime(socket, (server) => {
      this.#server = server
      this.#connections.watch(server)
    })
  }

  /** What the factory is told. */
  get context(): FactoryContext {
    const { url, port } = this
    const { slot, workerId } = this.#settings
    const signal = (this.#abort ??= new AbortController()).signal
    const onClose = (run: () => unknown): void => {
      if (this.#closing === undefined) this.#hooks.unshift({ name: 'onClose', run })
      else runLate(run)
    }
    return { url, port, slot, workerId, signal, onClose }
  }

  get url(): string {
    const scheme = this.#server !== undefined && isSecure(this.#server) ? 'https' : 'http'
    return `${scheme}://${reachable(this.host)}:${this.port}`
  }

  get http2(): boolean {
    return this.#server !== undefined && isHttp2(this.#server)
  }

  get dispatcher(): Dispatcher {
    return this.#client.dispatcher
  }

  // Bound, so that it can be taken out of the handle: `const { fetch } = server`.
  readonly fetch: LiveServer['fetch'] = (path, init) => this.#client.fetch(path, init)

  close(options: CloseOptions = {}): Promise<CloseReport> {
    checkCloseOptions(options)
    return this.#shutDown(options.grace ?? this.#settings.grace)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Closes it after a failed start: nobody waits for what it has in flight, only its hooks get their time. */
  abandon(): Promise<CloseReport> {
    return this.#shutDown(0, this.#settings.grace)
  }

  #shutDown(grace: number, graceOfHooks = grace): Promise<CloseReport> {
    return (this.#closing ??= shutDown(
      {
        url: this.url,
        socket: this.#socket,
        connections: this.#connections,
        client: this.#client,
        abort: () => this.#abort?.abort(closing(this.url)),
        // The app first: its hooks may still use what the factory opened.
        hooks: () => [{ name: 'close', run: () => this.runtime.close() }, ...this.#hooks],
      },
      grace,
      graceOfHooks,
    ))
  }
}

function closing(url: string): PortzeroError {
  return new PortzeroError('SERVER_CLOSED', `The server at ${url} is closing.`)
}

/** Runs a hook that comes when closing has begun: what a factory opens after its start was given up is closed too. */
function runLate(hook: () => unknown): void {
  void (async () => hook())().catch((error: unknown) => {
    console.warn(`portzero: a close hook failed: ${messageOf(error)}`)
  })
}

/** The name by which a bound address is reached: one that stands for all addresses is reached on loopback. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
