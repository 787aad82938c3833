import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { Client } from '../client.ts'
import { now, settlesWithin } from '../deadline.ts'
import { PortzeroError } from '../errors.ts'
import { idleWithin } from '../idle.ts'
import { asBlocker, cannotDrop, reportOf } from '../life.ts'
import type { HeldFacts, Whereabouts } from '../messages/channel.ts'
import type { Told } from '../messages/line.ts'
import { fromWire } from '../messages/wire-error.ts'
import { checkCloseOptions, checkRestartOptions } from '../options.ts'
import { send } from '../processes/descendants.ts'
import type {
  CloseOptions,
  CloseReport,
  ConnectedServer,
  Exit,
  IdleOptions,
  InFlight,
  RestartOptions,
} from '../types.ts'
import { HolderConnection } from './holder-connection.ts'
import type { Heard } from './holder-connection.ts'
import { identify, isAlive } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'
import type { HeldRecord } from './registry.ts'

/** How long a holder may take to tell of a server that runs, in ms. */
const HELLO = 5_000

/** How long after the grace a holder may take to have all ended, in ms: it kills what does not end, and looks whether it is gone. */
const STUBBORN = 10_000

/** How long the news that a server has died may come after its connections are reset, in ms. */
const NEWS = 250

/** How long tests are told to a holder before they go on, in ms. */
const TESTS = 1_000

/** How long to wait before a process that is about to end is looked for again, in ms. */
const AGAIN = 2

const GRACEFUL: CloseReport = { outcome: 'graceful', durationMs: 0, blockers: [] }

/** What becomes of a server whose holder is gone. */
const GONE: Exit = { code: null, signal: 'SIGKILL' }

/** How a holder is reached. */
interface Address {
  readonly record: HeldRecord
  readonly socket: string
}

/** The one implementation of {@link ConnectedServer}. */
export class Connected implements ConnectedServer {
  readonly name: string
  readonly url: string
  readonly host: string
  readonly port: number
  readonly ca: string | undefined
  readonly #record: HeldRecord
  readonly #connection: HolderConnection
  readonly #facts: HeldFacts
  readonly #client: Client
  #where: Whereabouts
  #death: { readonly error: PortzeroError; readonly exit: Exit } | undefined
  #exited: Settled<Exit> = settled()
  #isClosing = false
  #isLetGo = false
  /** What is said of all that is asked of it when the connection is gone. */
  #over: PortzeroError | undefined
  #stopping: Promise<CloseReport> | undefined

  private constructor(
    record: HeldRecord,
    connection: HolderConnection,
    told: Told,
    held: HeldFacts,
  ) {
    const { url, port, ca, http2 } = told
    this.name = record.name
    this.url = held.publicUrl
    this.host = held.host
    this.port = port
    this.ca = ca
    this.#record = record
    this.#connection = connection
    this.#facts = held
    this.#where = held
    this.#client = new Client({
      url,
      publicUrl: held.publicUrl,
      http2,
      ca,
      death: () => this.#deathSoon(),
    })
    if (held.death !== undefined) {
      this.#die(fromWire(held.death.error) as PortzeroError, held.death.exit)
    }
    connection.follow((news) => this.#hear(news))
    void connection.lost.then(() => this.#lose())
  }

  /**
   * Resolves when the server of a record is ready; to undefined if its holder is gone. Rejects with the error of a start that fails.
   * The connection does not keep this process alive once it is made.
   */
  static async to({ record, socket }: Address): Promise<Connected | undefined> {
    const connection = new HolderConnection(socket)
    const hasRun = record.state === 'ready' || record.state === 'died'
    const limit = hasRun ? HELLO : record.startTimeout + HELLO
    const answer = Promise.race([connection.line.started, connection.lost])
    try {
      const word = Promise.race([answer, connection.closing])
      if (!(await settlesWithin(word, limit))) throw silent(record, limit)
      // One that is closing lets go when it has closed, within the grace that it was given.
      const told = await answer
      if (told === undefined) return undefined
      if (told.held === undefined) throw silent(record, limit)
      connection.unref()
      return new Connected(record, connection, told, told.held)
    } catch (error) {
      connection.end()
      throw error
    }
  }

  get pid(): number | undefined {
    return this.#where.pid
  }

  get threadId(): number | undefined {
    return this.#where.threadId
  }

  get output(): readonly string[] {
    return this.#connection.output
  }

  get exited(): Promise<Exit> {
    const { promise } = this.#exited
    // Whoever waits for it wants this process to wait.
    if (this.#death === undefined) void this.#connection.holding(promise)
    return promise
  }

  get dispatcher(): Dispatcher {
    return this.#client.dispatcher
  }

  /** Its error, once it has ended without being told to. */
  get died(): PortzeroError | undefined {
    return this.#death?.error
  }

  /** True once somebody ends it. */
  get isClosed(): boolean {
    return this.#isClosing || this.#isLetGo
  }

  /** True once its holder is gone, or this handle has let go of it. */
  get isLost(): boolean {
    return this.#over !== undefined
  }

  // Bound, so that it can be taken out of the handle: `const { fetch } = server`.
  readonly fetch: ConnectedServer['fetch'] = (path, init) => this.#client.fetch(path, init)

  inFlight(): InFlight[] {
    // While it is closed, what that waits for.
    if (this.#death !== undefined || this.#isLetGo || this.isLost) return []
    return this.#facts.isGoverned ? this.#connection.line.inFlight() : this.#client.inFlight()
  }

  async idle(options: IdleOptions = {}): Promise<void> {
    await idleWithin(this, this.#client, options)
  }

  async whenIdle(): Promise<void> {
    await this.#client.idle()
    if (this.#facts.isGoverned) await this.#connection.ask({ type: 'idle' })
  }

  /** Resolves when the next of what is in flight has ended, or earlier. */
  async ended(): Promise<void> {
    const ended = this.#facts.isGoverned ? this.#connection.line.changed() : this.#client.answered()
    await Promise.race([ended, this.#connection.lost, this.#exited.promise])
  }

  dropConnections(): void {
    if (!this.#facts.isGoverned) throw cannotDrop(this.url)
    this.#connection.line.send({ type: 'cut' })
  }

  /** Tells which tests run in this process, for what is asked from now on. Resolves when that is known, and what is in flight is told. */
  async tests(titles: readonly string[]): Promise<void> {
    await this.#client.sent(TESTS)
    this.#client.test = titles.length === 1 ? titles[0] : undefined
    await settlesWithin(this.#connection.ask({ type: 'tests', titles }), TESTS)
  }

  async restart(options: RestartOptions = {}): Promise<CloseReport> {
    checkRestartOptions(options)
    const record = this.#record
    const limit = (options.grace ?? this.#facts.grace) + record.startTimeout + STUBBORN
    const restarted = this.#connection.ask({ type: 'restart', options, onlyDead: false })
    if (!(await settlesWithin(restarted, limit))) throw silent(record, limit)
    return (await restarted) ?? GRACEFUL
  }

  /** Begins another life, unless another one has brought the server back. */
  async revive(): Promise<void> {
    await this.#connection.ask({ type: 'restart', options: { app: 'rebuild' }, onlyDead: true })
  }

  stop(options: CloseOptions = {}): Promise<CloseReport> {
    checkCloseOptions(options)
    return (this.#stopping ??= this.#stop(options.grace ?? this.#facts.grace))
  }

  async disconnect(): Promise<void> {
    this.#isLetGo = true
    this.#connection.end()
    await this.#client.letGo()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnect()
  }

  async #stop(grace: number): Promise<CloseReport> {
    // Whoever has let go of it, or has lost it, does not end it.
    if (this.#isLetGo) throw closed(this.name, this.url)
    if (this.#over !== undefined) throw this.#over
    const startedAt = performance.now()
    const since = now()
    const left = (): number => Math.max(0, grace - (performance.now() - startedAt))
    const client = this.#client
    const { isGoverned } = this.#facts
    client.stop()
    const ports = [...(await client.sent(grace))]
    const isAnswered = isGoverned || (await settlesWithin(client.close(), left()))
    const inItsWay = isAnswered ? [] : client.inFlight().map(asBlocker)
    const ended = this.#connection.ask({ type: 'end', grace, since, ports })
    void client.close()
    const inTime = await settlesWithin(ended, left() + STUBBORN)
    await this.#seeOff(inTime ? HELLO : 0)
    await client.destroy()
    if (!inTime) {
      ended.catch(() => {})
      return reportOf(inItsWay, startedAt, 'killed')
    }
    const { outcome, blockers } = (await ended) ?? GRACEFUL
    const all = [...inItsWay, ...blockers]
    return reportOf(all, startedAt, outcome === 'graceful' && !isAnswered ? 'forced' : outcome)
  }

  /** The holder ends by itself when all is said. One that does not within `ms` is killed, and what it holds by its watchdog then. */
  async #seeOff(ms: number): Promise<void> {
    const { holder } = this.#record
    const app = this.pid === undefined ? undefined : identify(this.pid)
    await settlesWithin(this.#connection.lost, ms)
    if (!(await isGoneWithin(holder, ms))) send(holder.pid, 'SIGKILL')
    for (const one of [holder, app]) if (one !== undefined) await isGoneWithin(one, HELLO)
  }

  #hear(news: Heard): void {
    switch (news.type) {
      case 'died':
        return this.#die(fromWire(news.error) as PortzeroError, news.exit)
      case 'restarted':
        this.#where = news
        this.#death = undefined
        this.#exited = settled()
        return
      case 'closing':
        this.#isClosing = true
        this.#client.stop()
    }
  }

  #die(error: PortzeroError, exit: Exit): void {
    this.#death = { error, exit }
    this.#exited.resolve(exit)
  }

  /** Its connection has ended. */
  #lose(): void {
    const { holder, name } = this.#record
    if (this.isClosed) {
      this.#over = closed(name, this.url)
      void this.#client.destroy()
    } else {
      this.#over = new PortzeroError(
        'SERVER_DIED',
        `The server '${name}' at ${this.url} has died: process ${holder.pid}, which held it, has ended.${lastOf(this.output)}`,
      )
      this.#die(this.#over, GONE)
    }
    this.#connection.line.lose(this.#over)
  }

  /** What a failed request has to say of it. */
  async #deathSoon(): Promise<PortzeroError | undefined> {
    if (this.isClosed) return undefined
    await settlesWithin(this.#exited.promise, NEWS)
    return this.died
  }
}

/** Whether a process that is not our child has ended, or does within `ms`. */
async function isGoneWithin(one: ProcessIdentity, ms: number): Promise<boolean> {
  const deadline = performance.now() + ms
  while (isAlive(one) && performance.now() < deadline) await delay(AGAIN)
  return !isAlive(one)
}

/** A promise, and what settles it. */
interface Settled<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
}

function settled<T>(): Settled<T> {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => (resolve = settle))
  return { promise, resolve }
}

function closed(name: string, url: string): PortzeroError {
  return new PortzeroError(
    'SERVER_CLOSED',
    `The server '${name}' at ${url} is closed, or this handle has let go of it. Use connect() or start() for another handle.`,
  )
}

function silent({ name, holder }: HeldRecord, ms: number): PortzeroError {
  return new PortzeroError(
    'START_TIMEOUT',
    `Process ${holder.pid}, which holds the server '${name}', has told nothing of it within ${ms} ms. It may be stopped; end it if it is of no use.`,
  )
}

function lastOf(output: readonly string[]): string {
  return output.length === 0
    ? ' It printed nothing.'
    : ` Its last output:\n${output.slice(-50).join('\n')}`
}
