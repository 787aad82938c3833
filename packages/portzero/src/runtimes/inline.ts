import { performance } from 'node:perf_hooks'
import { publicUrlOf } from '../advertise.ts'
import { certified } from '../certificate/certified.ts'
import { Client } from '../client.ts'
import type { OwnClient } from '../client.ts'
import { Connections } from '../connections/connections.ts'
import { never, settlesBy, settlesWithin } from '../deadline.ts'
import { PortzeroError, messageOf } from '../errors.ts'
import { reportOf, urlOf } from '../life.ts'
import type { Life } from '../life.ts'
import { HostedApp } from '../loading/hosted-app.ts'
import type { Settings } from '../options.ts'
import { Readiness } from '../ready.ts'
import { AFTERWARDS, arrival, runHooks, stopServing } from '../shutdown.ts'
import type { Hook, Serving } from '../shutdown.ts'
import { telling } from '../slow-start.ts'
import { BoundSocket } from '../socket.ts'
import type { Address } from '../socket.ts'
import { isHttp2, isSecure } from '../target.ts'
import type { HostableTarget } from '../target.ts'
import type { Blocker, CloseReport, Exit, FactoryContext, InFlight } from '../types.ts'

/** A life in this process, or in whatever process or thread this is. */
export class InlineLife implements Life {
  readonly port: number
  readonly pid = undefined
  readonly isGoverned = true
  readonly threadId = undefined
  readonly output: readonly string[] = []
  readonly died = undefined
  readonly #settings: Settings
  readonly #runtime: HostedApp
  readonly #connections: Connections
  #socket: BoundSocket
  #client: Client = new Client(this)
  /** Made when a factory asks for its signal. */
  #abort: AbortController | undefined
  /** Made when somebody asks for it. */
  #exited: Promise<Exit> | undefined
  readonly #hooks: Hook[] = []
  #ending = false

  private constructor(
    socket: BoundSocket,
    runtime: HostedApp,
    connections: Connections,
    settings: Settings,
  ) {
    this.port = socket.port
    this.#connections = connections
    this.#settings = settings
    this.#runtime = runtime
    this.#socket = socket
  }

  /** Binds the socket and starts the target. A failed start leaves nothing open. `onChange` is told whenever `inFlight()` changes. */
  static async begin(
    target: HostableTarget,
    given: Settings,
    address: Address,
    onChange?: () => void,
  ): Promise<InlineLife> {
    const settings = await certified(given)
    const { certificate, http2 } = settings
    const connections = new Connections(onChange)
    const runtime = new HostedApp(target, { certificate, http2 }, (server) =>
      connections.watch(server),
    )
    const socket = await BoundSocket.bind(settings.host, address, await runtime.prepare())
    const life = new InlineLife(socket, runtime, connections, settings)
    try {
      await life.#start()
      return life
    } catch (error) {
      await life.#giveUp(error)
      throw error
    }
  }

  get url(): string {
    const { https } = this.#settings
    const { server } = this.#runtime
    const isEncrypted = https || (server !== undefined && isSecure(server))
    return urlOf(isEncrypted, this.#settings.host, this.port)
  }

  get publicUrl(): string {
    return publicUrlOf(this.url, this.#settings.advertise)
  }

  get http2(): boolean {
    const { server } = this.#runtime
    return server !== undefined && isHttp2(server)
  }

  /** What signed its certificate, if that was made here. */
  get ca(): string | undefined {
    const { server, bringsServer } = this.#runtime
    const bringsCertificate = bringsServer && server !== undefined && isSecure(server)
    return bringsCertificate ? undefined : this.#settings.certificate?.ca
  }

  /** It ends with this process. */
  get exited(): Promise<Exit> {
    return (this.#exited ??= never())
  }

  get client(): Client {
    return this.#client
  }

  set test(title: string | undefined) {
    this.#connections.test = title
  }

  inFlight(): InFlight[] {
    return this.#connections.inFlight()
  }

  idle(): Promise<void> {
    return this.#connections.idle()
  }

  ended(): Promise<void> {
    return this.#connections.ended()
  }

  async hear(test: string | undefined): Promise<void> {
    await arrival({ connections: this.#connections, client: this.#client })
    this.test = test
  }

  cut(): void {
    this.#connections.reset()
  }

  hasten(): void {
    this.cut()
  }

  /** `client` is whose connections end by themselves: its own one, or that of the process that this one belongs to. */
  end(
    grace: number,
    client: OwnClient = this.#client,
    drained?: (cut: readonly Blocker[]) => void,
  ): Promise<CloseReport> {
    return this.#end(grace, grace, client, drained)
  }

  async pause(grace: number, client: OwnClient = this.#client): Promise<CloseReport> {
    const startedAt = performance.now()
    return reportOf(await stopServing(this.#serving(client), grace), startedAt)
  }

  async resume(): Promise<void> {
    this.#socket = await BoundSocket.bind(this.#settings.host, { port: this.port })
    this.#client = new Client(this)
    try {
      await this.#runtime.resume(this.#socket)
    } catch (error) {
      // It may be tried again.
      this.#socket.close()
      throw error
    }
  }

  async #start(): Promise<void> {
    const { startTimeout, ready } = this.#settings
    const deadline = performance.now() + startTimeout
    const started = this.#runtime.start(this.#socket, () => this.#context())
    if (started !== undefined) {
      const inTime = settlesWithin(started, startTimeout)
      if (!(await telling(() => this.#runtime.waitsFor, inTime))) {
        throw this.#runtime.overdue(startTimeout)
      }
      await started
    }
    if (ready === undefined) return
    const readiness = new Readiness(ready)
    const { url, client } = this
    const probed = { url, fetch: client.fetch.bind(client) }
    const isReady = readiness.wait(probed, this.#context().signal)
    if (!(await settlesBy(isReady, deadline))) throw readiness.overdue(startTimeout)
    await isReady
  }

  /** What fails besides is told in the error of the start, which is the one to mend. */
  async #giveUp(error: unknown): Promise<void> {
    try {
      // Nobody waits for what is in flight; only hooks get their time.
      await this.#end(0, this.#settings.grace, this.#client)
    } catch (besides) {
      if (error instanceof Error) error.message += ` (${messageOf(besides)})`
    }
  }

  async #end(
    grace: number,
    graceOfHooks: number,
    client: OwnClient,
    drained?: (cut: readonly Blocker[]) => void,
  ): Promise<CloseReport> {
    const startedAt = performance.now()
    this.#ending = true
    this.#abort?.abort(closing(this.url))
    const blockers: Blocker[] = await stopServing(this.#serving(client), grace)
    drained?.(blockers)
    // The app first: its hooks may still use what the factory opened. What is left of it last: a hook may be what closes its server.
    const hooks = [
      { name: 'close', run: () => this.#runtime.closeApp() },
      ...this.#hooks,
      { name: 'close', run: () => this.#runtime.close() },
    ]
    const spent = performance.now() - startedAt
    const { failures, hanging } = await runHooks(hooks, graceOfHooks + AFTERWARDS - spent)
    // A server that was made for the app ends with it.
    if (this.#runtime.bringsServer) this.#connections.unwatch()
    const report = reportOf([...blockers, ...hanging], startedAt)
    if (failures.length > 0) throw closeFailed(this.url, failures, report)
    return report
  }

  #serving(client: OwnClient): Serving {
    return { socket: this.#socket, connections: this.#connections, client }
  }

  #context(): FactoryContext {
    const { publicUrl: url, port } = this
    const { slot, workerId } = this.#settings
    const signal = (this.#abort ??= new AbortController()).signal
    const onClose = (run: () => unknown): void => {
      if (this.#ending) runLate(run)
      else this.#hooks.unshift({ name: 'onClose', run })
    }
    return { url, port, slot, workerId, signal, onClose }
  }
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
