import { chmodSync } from 'node:fs'
import net from 'node:net'
import { setImmediate } from 'node:timers'
import { Governor } from '../child/governed.ts'
import type { Governed } from '../child/governed.ts'
import type { OwnClient } from '../client.ts'
import { settlesWithin } from '../deadline.ts'
import { PortzeroError, messageOf } from '../errors.ts'
import { inWords } from '../in-words.ts'
import type { Live } from '../live-server.ts'
import type { HeldDeath, HeldFacts, HeldOrder, News, Order, Report } from '../messages/channel.ts'
import { channelOver } from '../messages/lines-channel.ts'
import { toWire } from '../messages/wire-error.ts'
import { DEFAULTS } from '../options.ts'
import { serveObserved } from '../serve.ts'
import type { CloseReport } from '../types.ts'
import { claimName } from './claim-name.ts'
import type { HeldSpec } from './held-spec.ts'
import { HolderLog } from './holder-log.ts'
import { Registry, ownIdentity } from './registry.ts'
import type { HeldRecord } from './registry.ts'

/** How long those that use the server may take to read the last that they are told, in ms. */
const FAREWELL = 500

/** How a start ends that is given up. */
const GIVEN_UP = Promise.resolve<CloseReport>({ outcome: 'killed', durationMs: 0, blockers: [] })

/** One that uses the server. */
interface User {
  readonly governor: Governor
  readonly socket: net.Socket
  titles: readonly string[]
}

/**
 * A server that this process holds for others. They come and go over a socket, and govern it as its owner would. Whoever makes it
 * ends the process once `over` resolves: nothing is left then, but what the watchdog of a start that was given up is about to kill.
 */
export class HeldServer {
  /** Resolves when all is closed, and everybody has been told. */
  readonly over: Promise<void>
  readonly #spec: HeldSpec
  readonly #registry: Registry = new Registry()
  readonly #users: Set<User> = new Set()
  readonly #control: net.Server = net.createServer((socket) => this.#welcome(socket))
  readonly #log: HolderLog
  #record: HeldRecord
  #live: Live | undefined
  #death: HeldDeath | undefined
  #restarting: Promise<unknown> = Promise.resolve()
  #ending: Promise<CloseReport> | undefined
  /** Resolves `over`. */
  #leave: () => void = () => {}

  constructor(spec: HeldSpec) {
    const { id, name, title, options, scope } = spec
    this.#spec = spec
    this.#log = new HolderLog(this.#registry.logOf(spec))
    this.#record = {
      version: 1,
      id,
      name,
      state: 'claiming',
      holder: ownIdentity(),
      target: title,
      cwd: process.cwd(),
      startedAt: new Date().toISOString(),
      startTimeout: options.startTimeout ?? DEFAULTS.startTimeout,
      scope,
    }
    this.over = new Promise((resolve) => (this.#leave = resolve))
  }

  get isReady(): boolean {
    return this.#live !== undefined
  }

  /** Notes itself under its name, from when on others can come, and wait for the start. Throws `NAME_TAKEN`, `STATE_DIR_FAILED`. */
  async claim(): Promise<HeldRecord> {
    const address = this.#registry.socketOf(this.#record)
    try {
      await listening(this.#control, address)
      if (process.platform !== 'win32') chmodSync(address, 0o600)
      return (this.#record = await claimName(this.#registry, this.#record))
    } catch (error) {
      this.#control.close()
      this.#registry.remove(this.#record)
      throw error
    }
  }

  /** Starts the server. One that fails is told to all that wait, and ends this. */
  async start(): Promise<void> {
    this.#log.event(`starting ${this.#spec.title}`)
    try {
      const live = await this.#serve()
      // It was given up meanwhile.
      if (this.#ending !== undefined) return void (await live.close())
      this.#live = live
      void this.#tellTests()
      this.#note('ready')
      this.#log.event(`listens at ${live.url}`)
      void this.#watch(live)
      for (const { governor } of this.#users) this.#introduce(governor)
    } catch (error) {
      this.#log.event(`did not start: ${messageOf(error)}`)
      this.#giveUp(error)
    }
  }

  /** Ends it, for everybody. `client`, in another process, waits for what it has sent. Called again, it returns the same promise. */
  stop(grace?: number, client?: OwnClient): Promise<CloseReport> {
    return (this.#ending ??= this.#stop(grace, client))
  }

  async #stop(grace: number | undefined, client: OwnClient | undefined): Promise<CloseReport> {
    const live = this.#live
    this.#tell({ type: 'closing' })
    if (live === undefined) {
      this.#giveUp(
        new PortzeroError(
          'START_FAILED',
          `The server '${this.#spec.name}' was stopped before it was ready.`,
        ),
      )
      return GIVEN_UP
    }
    try {
      const report = await live.closeFor(client, grace === undefined ? {} : { grace })
      this.#log.event(closing(report))
      return report
    } catch (error) {
      this.#log.event(`closed, but ${messageOf(error)}`)
      throw error
    } finally {
      this.#sayGoodbye()
    }
  }

  async #serve(): Promise<Live> {
    const { target, options, formerPort } = this.#spec
    const observer = {
      line: (line: string) => {
        this.#log.line(line)
        this.#tell({ type: 'printed', line })
      },
      changed: () => {
        for (const { governor } of this.#users) governor.changed()
      },
    }
    const given = typeof target === 'string' ? new URL(target) : target
    if (formerPort !== undefined) {
      try {
        return await serveObserved(given, { ...options, port: formerPort }, observer)
      } catch (error) {
        if (!(error instanceof PortzeroError && error.code === 'PORT_IN_USE')) throw error
      }
    }
    return serveObserved(given, options, observer)
  }

  async #watch(live: Live): Promise<void> {
    const { exited } = live
    const exit = await exited
    const { died } = live
    // It was told to end, or another life has begun.
    if (died === undefined || live.exited !== exited || this.#ending !== undefined) return
    // A life that was put on its port again is watched twice.
    if (this.#death !== undefined) return
    this.#death = { error: toWire(died), exit }
    this.#noteChange('died')
    this.#log.event(died.message.replace(/ Its last output:\n[^]*/, ''))
    this.#tell({ type: 'died', ...this.#death })
  }

  #welcome(socket: net.Socket): void {
    const governor = new Governor(channelOver<Report | News, Order | HeldOrder>(socket), {
      held: (order) => this.#obey(user, order),
      exit: () => void this.stop().catch(() => {}),
    })
    const user: User = { governor, socket, titles: [] }
    this.#users.add(user)
    for (const line of this.#log.printed) governor.tell({ type: 'printed', line })
    socket.once('close', () => {
      this.#users.delete(user)
      void this.#tellTests()
    })
    if (this.#ending === undefined) this.#introduce(governor)
    else governor.tell({ type: 'closing' })
  }

  #introduce(governor: Governor): void {
    const live = this.#live
    if (live === undefined) return
    const { url: publicUrl, boundUrl, port, ca, http2, host, pid, threadId } = live
    const { grace = DEFAULTS.grace } = this.#spec.options
    const held: HeldFacts = {
      publicUrl,
      host,
      grace,
      pid,
      threadId,
      isGoverned: live.isGoverned,
      death: this.#death,
    }
    governor.started(this.#governed(live), { url: boundUrl, port, ca, http2, held })
  }

  #governed(live: Live): Governed {
    return {
      test: undefined,
      inFlight: () => live.inFlight(),
      idle: () => live.whenIdle(),
      cut: () => live.dropConnections(),
      end: (grace, client) => this.stop(grace, client),
    }
  }

  async #obey(user: User, order: HeldOrder): Promise<CloseReport | undefined> {
    if (order.type === 'tests') {
      user.titles = order.titles
      await this.#tellTests()
      return undefined
    }
    const restarting = this.#restarting.then(() => this.#restart(order))
    this.#restarting = restarting.catch(() => {})
    return restarting
  }

  async #restart({
    options,
    onlyDead,
  }: Extract<HeldOrder, { type: 'restart' }>): Promise<CloseReport | undefined> {
    const live = this.#live
    if (live === undefined || (onlyDead && live.died === undefined)) return undefined
    try {
      const report = await live.restart(options)
      this.#death = undefined
      this.#noteChange('ready')
      this.#log.event('restarted')
      void this.#watch(live)
      this.#tell({ type: 'restarted', pid: live.pid, threadId: live.threadId })
      return report
    } catch (error) {
      this.#log.event(`not restarted: ${messageOf(error)}`)
      // What could not come up again is closed.
      if (live.isClosing) void this.stop().catch(() => {})
      throw error
    }
  }

  async #tellTests(): Promise<void> {
    await this.#live?.tests([...this.#users].flatMap((user) => user.titles))
  }

  #note(state: HeldRecord['state']): void {
    const live = this.#live
    const pid = state === 'died' ? undefined : live?.pid
    this.#record = { ...this.#record, state, url: live?.url, pid }
    this.#registry.write(this.#record)
  }

  /** Notes what has become of a server that has run. It is so, also where the disk is full, and that cannot be noted. */
  #noteChange(state: HeldRecord['state']): void {
    try {
      this.#note(state)
    } catch (error) {
      this.#log.event(messageOf(error))
    }
  }

  #tell(news: News): void {
    for (const { governor } of this.#users) governor.tell(news)
  }

  /** Ends a start. Whoever hears of it may start another one at once. */
  #giveUp(error: unknown): void {
    this.#ending ??= GIVEN_UP
    this.#registry.remove(this.#record)
    for (const { governor } of this.#users) governor.failed(error)
    this.#sayGoodbye()
  }

  /** The name is free before anybody hears that all is over. */
  #sayGoodbye(): void {
    this.#registry.remove(this.#record)
    this.#control.close()
    // Those that have ordered the end are answered in this turn.
    setImmediate(() => {
      const closed = [...this.#users].map(
        ({ socket }) => new Promise<void>((resolve) => socket.end(() => resolve())),
      )
      void settlesWithin(Promise.all(closed), FAREWELL).then(this.#leave)
    })
  }
}

async function listening(server: net.Server, address: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', (cause) => {
      reject(
        new PortzeroError(
          'STATE_DIR_FAILED',
          `The socket ${address} cannot be made: ${messageOf(cause)}. Name another directory in PORTZERO_STATE_DIR.`,
          { cause },
        ),
      )
    })
    server.listen(address)
  })
}

function closing({ outcome, durationMs, blockers }: CloseReport): string {
  const how = outcome === 'graceful' ? 'closed gracefully' : `closed (${outcome})`
  const inItsWay = blockers.length === 0 ? '' : `; in its way: ${blockers.map(inWords).join('; ')}`
  return `${how} in ${durationMs.toFixed(0)} ms${inItsWay}`
}
