import { performance } from 'node:perf_hooks'
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import type { OwnClient } from '../client.ts'
import { now } from '../deadline.ts'
import type { Channel, HeldOrder, News, Order, Report, StartOrder } from '../messages/channel.ts'
import { toWire } from '../messages/wire-error.ts'
import { TURNS, turns } from '../turns.ts'
import type { Blocker, CloseReport, InFlight } from '../types.ts'

/** What an owner in another process or thread may do with a server. */
export interface Governed {
  test: string | undefined
  inFlight(): InFlight[]
  idle(): Promise<void>
  cut(): void
  /** `drained` is told what was cut off before close hooks run, which may end all this. */
  end(
    grace: number,
    client: OwnClient,
    drained: (cut: readonly Blocker[]) => void,
  ): Promise<CloseReport>
  // A server that many use is restarted as a whole.
  pause?(grace: number, client: OwnClient): Promise<CloseReport>
  resume?(): Promise<void>
}

interface Means {
  start?(order: StartOrder): Promise<void>
  /** Carries out what only the holder of a server is told. */
  held?(order: HeldOrder): Promise<CloseReport | undefined>
  exit(): void
}

type Answered = Extract<Order | HeldOrder, { id: number }>

/** How often the owner is told of what stays in flight, in ms. */
const AGAIN = 50

/** How far apart two readings of the age of the same request may be, in ms: the clock goes on while they are taken. */
const CLOCK = 1

/** The line to the owner: obeys it, and tells it how things stand. */
export class Governor {
  readonly #channel: Channel<Report | News, Order | HeldOrder>
  readonly #means: Means
  #server: Governed | undefined
  #again: NodeJS.Timeout | undefined
  #hasTold = false
  #hasChanged = false
  #told: readonly InFlight[] = []
  #toldAt = 0

  /** `start` makes the server that is ordered, `exit` ends all this. */
  constructor(channel: Channel<Report | News, Order | HeldOrder>, means: Means) {
    this.#channel = channel
    this.#means = means
    channel.listen((order) => {
      if (order.type === 'start') this.start(order)
      else this.#obey(order)
    })
  }

  /** Has the server made. */
  start(order: StartOrder): void {
    this.#means.start?.(order).catch((error: unknown) => this.failed(error))
  }

  /** The server listens. */
  started(server: Governed, told: Omit<Extract<Report, { type: 'started' }>, 'type'>): void {
    this.#server = server
    this.#channel.send({ type: 'started', ...told })
    // What the owner knows may be of a server that this one follows.
    this.changed()
  }

  /** The server will not listen. */
  failed(error: unknown): void {
    this.#channel.send({ type: 'failed', error: toWire(error) })
  }

  /** Tells the owner what it has not asked for. */
  tell(news: News): void {
    this.#channel.send(news)
  }

  /**
   * Tells the owner what is in flight: at once, as what came may block this side, and then once for all that has changed in this
   * turn of the event loop.
   */
  readonly changed: () => void = () => {
    if (this.#hasTold) {
      this.#hasChanged = true
      return
    }
    this.#tellInFlight()
    this.#hasTold = true
    this.#hasChanged = false
    setImmediate(() => {
      this.#hasTold = false
      if (this.#hasChanged) this.#tellInFlight()
    })
  }

  /** What stays is the oldest, and comes first: many open event streams make no request slower by being told anew. */
  #tellInFlight(): void {
    const inFlight = this.#server?.inFlight()
    if (inFlight === undefined) return
    const at = performance.now()
    const elapsed = at - this.#toldAt
    const news = inFlight.findIndex((one, index) => !isSame(one, this.#told[index], elapsed))
    const kept = news === -1 ? inFlight.length : news
    this.#told = inFlight
    this.#toldAt = at
    this.#channel.send({ type: 'inFlight', kept, inFlight: inFlight.slice(kept) })
    if (inFlight.length > 0) this.#again ??= setTimeout(this.#tellAnew, AGAIN).unref()
  }

  /** How much of an answer was sent, and whether it is an event stream, shows later. */
  readonly #tellAnew = (): void => {
    clearTimeout(this.#again)
    this.#again = undefined
    this.#told = []
    this.#tellInFlight()
  }

  #obey(order: Exclude<Order | HeldOrder, StartOrder>): void {
    const server = this.#server
    switch (order.type) {
      case 'exit':
        return this.#means.exit()
      case 'cut':
        return server?.cut()
      default:
        if (server !== undefined) void this.#carryOut(server, order)
    }
  }

  async #carryOut(server: Governed, order: Answered): Promise<void> {
    const { id } = order
    try {
      const result = await this.#act(server, order)
      // Whoever has waited for it wants to know what is left.
      this.#tellAnew()
      this.#channel.send({ type: 'done', id, result })
    } catch (error) {
      this.#channel.send({ type: 'refused', id, error: toWire(error) })
    }
  }

  async #act(server: Governed, order: Answered): Promise<CloseReport | undefined> {
    switch (order.type) {
      case 'end':
        return server.end(leftOf(order), clientOn(order.ports), (cut) =>
          this.#channel.send({ type: 'drained', cut, hook: 'close' }),
        )
      case 'pause':
        return server.pause?.(leftOf(order), clientOn(order.ports))
      case 'resume':
        await server.resume?.()
        return undefined
      case 'idle':
        await server.idle()
        return undefined
      case 'hear':
        // What was sent before has arrived then.
        await turns(TURNS)
        server.test = order.test
        return undefined
      default:
        return this.#means.held?.(order)
    }
  }
}

/** True if that is what was told `elapsed` ms ago, or cannot be told from it. */
function isSame(one: InFlight, told: InFlight | undefined, elapsed: number): boolean {
  if (told === undefined || Math.abs(one.ageMs - told.ageMs - elapsed) > CLOCK) return false
  const { kind, method, path, test } = told
  return one.kind === kind && one.method === method && one.path === path && one.test === test
}

/** What is left of the grace of an order. A clock that was put back meanwhile does not make it longer. */
function leftOf({ grace, since }: { readonly grace: number; readonly since: number }): number {
  return Math.max(0, grace - Math.max(0, now() - since))
}

/** The owner's client, of which this side knows the ports. The owner closes it. */
function clientOn(ports: readonly number[]): OwnClient {
  const own = new Set(ports)
  return {
    owns: ({ remotePort }) => remotePort !== undefined && own.has(remotePort),
    sending: () => (own.size === 0 ? undefined : Promise.resolve(own)),
    stop: () => {},
    close: async () => {},
  }
}
