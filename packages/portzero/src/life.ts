import { performance } from 'node:perf_hooks'
import { certificateFor } from './certificate.ts'
import type { Certificate } from './certificate.ts'
import { Client } from './client.ts'
import { Connections } from './connections.ts'
import { settlesWithin } from './deadline.ts'
import { PortzeroError, messageOf } from './errors.ts'
import type { Settings } from './options.ts'
import { Readiness } from './ready.ts'
import { InlineRuntime } from './runtimes/inline.ts'
import { AFTERWARDS, runHooks, stopServing } from './shutdown.ts'
import type { Hook } from './shutdown.ts'
import { BoundSocket } from './socket.ts'
import { isHttp2, isSecure } from './target.ts'
import type { KnownTarget } from './target.ts'
import type { Blocker, CloseReport, FactoryContext, NodeServer } from './types.ts'

/** One life of an app on its socket, from the start to the end: a server that is rebuilt has several, one after another. */
export class Life {
  readonly port: number
  readonly connections: Connections = new Connections()
  readonly #settings: Settings
  readonly #certificate: Certificate | undefined
  readonly #runtime: InlineRuntime
  #socket: BoundSocket
  #client: Client = new Client(this)
  /** Made when a factory asks for its signal. */
  #abort: AbortController | undefined
  readonly #hooks: Hook[] = []
  #server: NodeServer | undefined
  #ending = false

  private constructor(socket: BoundSocket, settings: Settings, certificate?: Certificate) {
    this.port = socket.port
    this.#settings = settings
    this.#certificate = certificate
    this.#socket = socket
    const protocol = { certificate, http2: settings.http2 }
    this.#runtime = new InlineRuntime(socket, protocol, (server) => {
      this.#server = server
      this.connections.watch(server)
    })
  }

  /** Binds the socket and starts the target. A failed start leaves nothing open. */
  static async begin(target: KnownTarget, settings: Settings, port: number): Promise<Life> {
    const certificate = settings.https ? await certificateFor(settings.host) : undefined
    const socket = await BoundSocket.bind(settings.host, port)
    const life = new Life(socket, settings, certificate)
    try {
      await life.#start(target)
      return life
    } catch (error) {
      await life.#giveUp(error)
      throw error
    }
  }

  get url(): string {
    const { https } = this.#settings
    const isEncrypted = https || (this.#server !== undefined && isSecure(this.#server))
    return `${isEncrypted ? 'https' : 'http'}://${reachable(this.#settings.host)}:${this.port}`
  }

  get http2(): boolean {
    return this.#server !== undefined && isHttp2(this.#server)
  }

  /** What signed its certificate, if that was made here. */
  get ca(): string | undefined {
    return this.#runtime.bringsCertificate ? undefined : this.#certificate?.ca
  }

  get client(): Client {
    return this.#client
  }

  /** Ends it for good. Rejects with `CLOSE_FAILED`, after all is closed, if a close hook threw. */
  end(grace: number): Promise<CloseReport> {
    return this.#end(grace, grace)
  }

  /** Takes it off its port. The app stays. */
  async pause(grace: number): Promise<CloseReport> {
    const startedAt = performance.now()
    return reportOf(await stopServing(this.#parts(), grace), startedAt)
  }

  /** Puts it on its port again. Throws `PORT_IN_USE` if somebody took it. */
  async resume(): Promise<void> {
    this.#socket = await BoundSocket.bind(this.#settings.host, this.port)
    this.#client = new Client(this)
    await this.#runtime.resume(this.#socket)
  }

  async #start(target: KnownTarget): Promise<void> {
    const { startTimeout, ready } = this.#settings
    const deadline = performance.now() + startTimeout
    const started = this.#runtime.start(target, () => this.#context())
    if (!(await settlesWithin(started, startTimeout))) throw this.#runtime.overdue(startTimeout)
    await started
    if (ready === undefined) return
    const readiness = new Readiness(ready)
    const { url, client } = this
    const probed = { url, fetch: client.fetch.bind(client) }
    const isReady = readiness.wait(probed, this.#context().signal)
    if (!(await settlesWithin(isReady, deadline - performance.now()))) {
      throw readiness.overdue(startTimeout)
    }
    await isReady
  }

  /** What fails besides is told in the error of the start, which is the one to mend. */
  async #giveUp(error: unknown): Promise<void> {
    try {
      // Nobody waits for what is in flight; only hooks get their time.
      await this.#end(0, this.#settings.grace)
    } catch (besides) {
      if (error instanceof Error) error.message += ` (${messageOf(besides)})`
    }
  }

  async #end(grace: number, graceOfHooks: number): Promise<CloseReport> {
    const startedAt = performance.now()
    this.#ending = true
    this.#abort?.abort(closing(this.url))
    const blockers: Blocker[] = await stopServing(this.#parts(), grace)
    // The app first: its hooks may still use what the factory opened.
    const hooks = [{ name: 'close', run: () => this.#runtime.close() }, ...this.#hooks]
    const spent = performance.now() - startedAt
    const { failures, hanging } = await runHooks(hooks, graceOfHooks + AFTERWARDS - spent)
    this.connections.unwatch()
    const report = reportOf([...blockers, ...hanging], startedAt)
    if (failures.length > 0) throw closeFailed(this.url, failures, report)
    return report
  }

  #parts(): Parameters<typeof stopServing>[0] {
    return { socket: this.#socket, connections: this.connections, client: this.#client }
  }

  #context(): FactoryContext {
    const { url, port } = this
    const { slot, workerId } = this.#settings
    const signal = (this.#abort ??= new AbortController()).signal
    const onClose = (run: () => unknown): void => {
      if (this.#ending) runLate(run)
      else this.#hooks.unshift({ name: 'onClose', run })
    }
    return { url, port, slot, workerId, signal, onClose }
  }
}

function reportOf(blockers: Blocker[], startedAt: number): CloseReport {
  const outcome = blockers.length === 0 ? 'graceful' : 'forced'
  return { outcome, durationMs: performance.now() - startedAt, blockers }
}

function closing(url: string): PortzeroError {
  return new PortzeroError('SERVER_CLOSED', `The server at ${url} is closing.`)
}

function closeFailed(url: string, failures: unknown[], report: CloseReport): PortzeroError {
  const cause = failures.length === 1 ? failures[0] : new AggregateError(failures)
  return new PortzeroError(
    'CLOSE_FAILED',
    `The server at ${url} is closed, but ${failures.length === 1 ? 'a close hook' : `${failures.length} close hooks`} failed: ${failures.map(messageOf).join('; ')}`,
    { cause, report },
  )
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
