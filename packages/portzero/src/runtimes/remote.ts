import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers'
import { publicUrlOf } from '../advertise.ts'
import { Client } from '../client.ts'
import type { OwnClient } from '../client.ts'
import { now, settlesBy, settlesWithin } from '../deadline.ts'
import { PortzeroError } from '../errors.ts'
import { asBlocker, reportOf, urlOf } from '../life.ts'
import type { Life } from '../life.ts'
import type { Channel, Order, Report } from '../messages/channel.ts'
import { Line } from '../messages/line.ts'
import type { Told } from '../messages/line.ts'
import type { Settings } from '../options.ts'
import type { Output } from '../processes/output.ts'
import type { OwnedProcess } from '../processes/owned-process.ts'
import { Readiness } from '../ready.ts'
import { telling } from '../slow-start.ts'
import { givenUp } from '../start.ts'
import type { Start } from '../start.ts'
import type { Blocker, CloseReport, Exit, InFlight } from '../types.ts'

/** The thread or process in which an app runs, as its owner sees it. */
export interface Host {
  /** In words: `process 4711`. */
  readonly name: string
  readonly pid: number | undefined
  readonly threadId: number | undefined
  readonly output: Output
  /** The line to what governs the server there; a program that knows nothing of us has none. */
  readonly channel: Channel<Order, Report> | undefined
  readonly exited: Promise<Exit>
  /** Resolves when the server listens, where it is not the channel that tells. */
  readonly listening?: Promise<void> | undefined
  /** False of one that cannot be taken off its port and put back. @default true */
  readonly canPause?: boolean
  /**
   * Asks it to end, gives it `grace` ms, and then ends it by force. Resolves when nothing of it is left.
   * Rejects if it cannot be ended.
   */
  stop(grace: number): Promise<Stopped>
}

/** How a thread or process was stopped. */
interface Stopped {
  /** Whether it had to be ended by force. */
  readonly isKilled: boolean
}

/** What is the same of every process, whatever runs in it. */
export function ownedHost(
  owned: OwnedProcess,
): Pick<Host, 'name' | 'pid' | 'threadId' | 'output' | 'exited' | 'stop'> {
  const { pid, output, exited } = owned
  return {
    name: `process ${pid}`,
    pid,
    threadId: undefined,
    output,
    exited,
    stop: async (grace) => {
      // One that is governed ends by itself once it has closed, and writes what it has to write at its end.
      const outcome = await owned.stop({ signal: 'SIGTERM', grace, isAsked: true })
      return { isKilled: outcome === 'killed' }
    },
  }
}

type Started = Told & {
  /** The line on which it was told, and over which the server can be governed. */
  readonly line?: Line
}

/** How long a thread or process may take to end once its server is closed, in ms, before it is ended by force. */
const EXIT = 500

const GRACEFUL: CloseReport = { outcome: 'graceful', durationMs: 0, blockers: [] }

/** How many lines of output an error shows. */
const LINES = 50

/**
 * How long after the grace it may take to say that all is closed, in ms: it has cut off the rest by then, and only a blocked one has
 * nothing to say. On a machine that is busy the others are late too.
 */
const LATE = 250

/** How long the news that a process has died may come after its connections are reset, in ms. */
const NEWS = 100

/** How long it is waited for what an app hears, which may be blocked, in ms. */
const HEARING = 500

/** A life in a thread or process of its own. */
export class RemoteLife implements Life {
  readonly url: string
  readonly publicUrl: string
  readonly port: number
  readonly http2: boolean
  readonly ca: string | undefined
  client: Client
  readonly exited: Promise<Exit>
  readonly #host: Host
  readonly #line: Line | undefined
  readonly #startTimeout: number
  /** Set when it has ended without being told to. */
  #exit: Exit | undefined
  /** How it has ended, in whatever way. */
  #end: Exit | undefined
  #ending = false
  /** Resolves when its end is waited for no longer. */
  readonly #givenUp: Promise<void>
  #giveUp: () => void = () => {}
  /** Resolves `exited`. */
  #tellExit: (exit: Exit) => void = () => {}

  private constructor(
    host: Host,
    { port, url, http2, ca, line }: Started,
    { advertise, startTimeout }: Settings,
  ) {
    this.#host = host
    this.#line = line
    this.#startTimeout = startTimeout
    this.port = port
    this.url = url
    this.publicUrl = publicUrlOf(url, advertise)
    this.http2 = http2
    this.ca = ca
    this.client = new Client(this)
    this.exited = new Promise((resolve) => (this.#tellExit = resolve))
    this.#givenUp = new Promise((resolve) => (this.#giveUp = resolve))
    void this.#watch()
  }

  /** Starts the server in `host`, which is stopped if that fails. */
  static async begin(host: Host, settings: Settings, start: Start = {}): Promise<RemoteLife> {
    const deadline = performance.now() + settings.startTimeout
    const { observer } = settings
    if (observer?.line !== undefined) host.output.onLine(observer.line)
    const line = host.channel && new Line(host.channel, { changed: observer?.changed })
    const failing = Promise.race([deathOf(host), givenUp(start)])
    // Whoever waits for it hears of it; nobody does once the server has started.
    failing.catch(() => {})
    try {
      const starting = within(deadline, startOf(host, line, settings, failing), () =>
        overdue(host, settings),
      )
      const started = await telling(() => waitsFor(host), starting)
      const life = new RemoteLife(host, started, settings)
      if (settings.ready !== undefined) {
        await life.#becomeReady(settings.ready, deadline, settings, failing)
      }
      return life
    } catch (error) {
      await host.stop(0)
      throw error
    }
  }

  get pid(): number | undefined {
    return this.#host.pid
  }

  get threadId(): number | undefined {
    return this.#host.threadId
  }

  get isGoverned(): boolean {
    return this.#line !== undefined
  }

  get output(): readonly string[] {
    return this.#host.output.lines
  }

  get died(): PortzeroError | undefined {
    return this.#exit && died(this.#host, this.url, this.#exit)
  }

  /** What a failed request has to say of it. */
  async death(): Promise<PortzeroError | undefined> {
    if (this.#ending) return undefined
    await settlesWithin(this.#host.exited, NEWS)
    return this.died
  }

  /** Of a program that cannot be looked into, what our own client has asked. */
  inFlight(): InFlight[] {
    if (this.#end !== undefined) return []
    return this.#line?.inFlight() ?? this.client.inFlight()
  }

  async idle(): Promise<void> {
    const idle = this.#line?.ask({ type: 'idle' }) ?? this.client.idle()
    // What has ended has nothing in flight, and answers no more.
    await Promise.race([idle, this.#host.exited])
  }

  async ended(): Promise<void> {
    const ended = this.#line?.changed() ?? this.client.answered()
    await Promise.race([ended, this.#host.exited])
  }

  async hear(test: string | undefined): Promise<void> {
    await this.client.sent(HEARING)
    this.client.test = test
    if (this.#line === undefined || this.#end !== undefined) return
    const heard = this.#line.ask({ type: 'hear', ...(test !== undefined && { test }) })
    // The connections of one that ends are reset some time before it is gone.
    await settlesWithin(Promise.race([heard, this.#host.exited]), HEARING)
  }

  cut(): void {
    this.#line?.send({ type: 'cut' })
  }

  hasten(): void {
    this.cut()
    setTimeout(this.#giveUp, LATE)
  }

  async end(grace: number, other?: OwnClient): Promise<CloseReport> {
    const startedAt = performance.now()
    const left = (): number => Math.max(0, grace - (performance.now() - startedAt))
    this.#ending = true
    const wasDead = this.#exit !== undefined
    let closed: CloseReport | undefined
    let failure: Error | undefined
    const closing = this.#close('end', grace, other).then(
      (report) => (closed = report),
      (error: unknown) => (failure = error as Error),
    )
    const isGoverned = this.#line !== undefined
    const late = isGoverned ? LATE : 0
    const ended = Promise.race([closing, this.#host.exited, this.#givenUp])
    await settlesWithin(ended, grace + late)
    const isOpen = closed === undefined && failure === undefined
    // It has not been asked to end yet.
    if (isOpen && this.#end !== undefined) this.#die(this.#end)
    const hasDied = this.#exit !== undefined
    const inItsWay = isOpen && !wasDead ? this.#inItsWay() : []
    if (!isOpen) this.#line?.send({ type: 'exit' })
    // One that is governed and does not obey is blocked.
    const isBlocked = isOpen && isGoverned && !hasDied
    const stopping = this.#host.stop(isBlocked ? 0 : Math.max(left(), EXIT))
    stopping.catch(() => void this.client.destroy())
    const stopped = await stopping
    if (failure !== undefined) throw failure
    const blockers = [...inItsWay, ...(closed?.blockers ?? [])]
    if (isOpen || stopped.isKilled) await this.client.destroy()
    if (hasDied || isBlocked || stopped.isKilled) return reportOf(blockers, startedAt, 'killed')
    // Of an answer that has begun, and is cut off, our client does not know more than that.
    return reportOf(blockers, startedAt, isOpen ? 'forced' : undefined)
  }

  async pause(grace: number): Promise<CloseReport> {
    const { canPause = this.isGoverned } = this.#host
    if (!canPause) throw cannotPause(this.#host)
    try {
      return await this.#obeyed(this.#close('pause', grace), grace + LATE)
    } catch (error) {
      this.client = new Client(this)
      throw error
    }
  }

  async resume(): Promise<void> {
    try {
      await this.#obeyed(Promise.resolve(this.#line?.ask({ type: 'resume' })), this.#startTimeout)
    } finally {
      this.client = new Client(this)
    }
  }

  /** What is in the way of a closing that has not come to its end: what our client has asked, if the app was blocked before it heard of anything. */
  #inItsWay(): Blocker[] {
    const told = this.#line?.inItsWay() ?? []
    return told.length > 0 ? told : this.client.inFlight().map(asBlocker)
  }

  /** Rejects with `SERVER_DIED` if it ends before there is an answer. One that gives none within `ms` is blocked, and is killed. */
  async #obeyed<T>(answer: Promise<T>, ms: number): Promise<T> {
    const death = this.#host.exited.then((exit) => {
      throw died(this.#host, this.url, exit)
    })
    const answerOrDeath = Promise.race([answer, death])
    if (!(await settlesWithin(answerOrDeath, ms))) await this.#host.stop(0)
    return answerOrDeath
  }

  async #watch(): Promise<void> {
    const exit = await this.#host.exited
    this.#end = exit
    if (!this.#ending) this.#die(exit)
  }

  #die(exit: Exit): void {
    this.#exit = exit
    this.#tellExit(exit)
  }

  /** Has the server closed there, while what our client has sent is answered. */
  async #close(type: 'end' | 'pause', grace: number, other?: OwnClient): Promise<CloseReport> {
    const { client } = this
    const since = now()
    client.stop()
    const ports = [...(await client.sent(grace)), ...((await other?.sending()) ?? [])]
    const closed = this.#line?.ask({ type, grace, since, ports })
    const answered = client.close()
    if (closed !== undefined) return (await closed) ?? GRACEFUL
    // A program that cannot be told to close may end at once when it is asked to: it has to have answered our client.
    await answered
    return GRACEFUL
  }

  async #becomeReady(
    ready: NonNullable<Settings['ready']>,
    deadline: number,
    { startTimeout }: Settings,
    failing: Promise<never>,
  ): Promise<void> {
    const readiness = new Readiness(ready, this.#host.output)
    const given = new AbortController()
    const probed = { url: this.url, fetch: this.client.fetch.bind(this.client) }
    const isReady = Promise.race([readiness.wait(probed, given.signal), failing])
    try {
      await within(deadline, isReady, () => readiness.overdue(startTimeout))
    } finally {
      given.abort()
    }
  }
}

/** Resolves when the server listens; rejects if it says that it cannot, or dies, or the start is given up. */
async function startOf(
  host: Host,
  line: Line | undefined,
  { host: address, port, https, http2 }: Settings,
  failing: Promise<never>,
): Promise<Started> {
  const waits: Promise<Started>[] = [failing]
  if (line !== undefined) waits.push(line.started.then((started) => ({ ...started, line })))
  const { listening } = host
  if (listening !== undefined) {
    const url = urlOf(https, address, port)
    waits.push(listening.then(() => ({ port, url, http2, ca: undefined })))
  }
  return Promise.race(waits)
}

/** Rejects when the host has died. */
async function deathOf(host: Host): Promise<never> {
  const exit = await host.exited
  throw new PortzeroError(
    'START_FAILED',
    `The server's ${host.name} ended ${inWords(exit)} before it was ready.${hint(host)}${lastOutput(host)}`,
  )
}

async function within<T>(deadline: number, work: Promise<T>, late: () => Error): Promise<T> {
  if (!(await settlesBy(work, deadline))) throw late()
  return work
}

function waitsFor({ name, output }: Host): string {
  const last = output.lines.findLast((line) => line.trim() !== '')
  return `${name} to listen${last === undefined ? '' : `; its last line: ${last}`}`
}

function overdue(host: Host, { startTimeout }: Settings): PortzeroError {
  return new PortzeroError(
    'START_TIMEOUT',
    `The server did not start within ${startTimeout} ms: its ${host.name} runs, but does not listen. ` +
      `Look for what it waits for, or give it longer with the option 'startTimeout'.${lastOutput(host)}`,
  )
}

function died(host: Host, url: string, exit: Exit): PortzeroError {
  return new PortzeroError(
    'SERVER_DIED',
    `The server at ${url} has died: its ${host.name} ended ${inWords(exit)}.${lastOutput(host)}`,
  )
}

function cannotPause({ name }: Host): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    `restart({ app: 'keep' }) needs a server that can be taken off its port; that of ${name} cannot. Use restart({ app: 'rebuild' }).`,
  )
}

function inWords({ code, signal }: Exit): string {
  return signal === null ? `with exit code ${code}` : `by ${signal}`
}

/** The last lines that it printed, for an error. */
function lastOutput({ output }: Host): string {
  const lines = output.lines.slice(-LINES)
  return lines.length === 0 ? ' It printed nothing.' : ` Its last output:\n${lines.join('\n')}`
}

/** What is known to be behind some last words. */
const CAUSES: readonly [RegExp, string][] = [
  [/EADDRINUSE|address already in use/i, 'A port that it wants is in use.'],
  [
    /ERR_MODULE_NOT_FOUND|Cannot find (?:module|package)|ModuleNotFoundError/,
    'Something that it imports is not installed, or not where it is looked for.',
  ],
  [/command not found|: not found$/m, 'The command is not installed, or not on the PATH.'],
  [
    /ERR_UNKNOWN_FILE_EXTENSION/,
    'This Node cannot load TypeScript by itself: install tsx, or use Node 22.18 or later.',
  ],
  [/JavaScript heap out of memory/, 'It ran out of memory.'],
]

function hint({ output }: Host): string {
  const said = output.lines.join('\n')
  const cause = CAUSES.find(([pattern]) => pattern.test(said))
  return cause === undefined ? '' : ` ${cause[1]}`
}
