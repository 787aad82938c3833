import { performance } from 'node:perf_hooks'
import { asBlocker } from '../life.ts'
import type { Blocker, CloseReport, InFlight } from '../types.ts'
import { inFlightAfter } from './channel.ts'
import type { Channel, HeldOrder, News, Order, Report } from './channel.ts'
import { fromWire } from './wire-error.ts'

/** What is told of a server that listens. */
export type Told = Omit<Extract<Report, { type: 'started' }>, 'type'>

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never
/** An order that is answered. */
export type Asked = WithoutId<Extract<Order | HeldOrder, { id: number }>>

interface Answer {
  resolve(report: CloseReport | undefined): void
  reject(error: Error): void
}

interface Listeners {
  /** Something came or went there. */
  readonly changed?: (() => void) | undefined
  readonly news?: ((news: News) => void) | undefined
}

/** The line to a governed server: orders go out, and reports come in. */
export class Line {
  readonly started: Promise<Told>
  readonly #channel: Channel<Order | HeldOrder, Report | News>
  readonly #listeners: Listeners
  readonly #asked: Map<number, Answer> = new Map()
  #fail: (error: Error) => void = () => {}
  #lost: Error | undefined
  #lastId = 0
  /** With the time at which each began. */
  #inFlight: readonly (readonly [InFlight, startedAt: number])[] = []
  #onChanged: (() => void)[] = []
  #cut: readonly Blocker[] = []
  /** When close hooks began to run. */
  #drainedAt: number | undefined
  /** The first of them. */
  #hook = ''

  constructor(channel: Channel<Order | HeldOrder, Report | News>, listeners: Listeners = {}) {
    this.#channel = channel
    this.#listeners = listeners
    this.started = new Promise((resolve, reject) => {
      this.#fail = reject
      channel.listen((report) => {
        if (report.type === 'started') resolve(report)
        else if (report.type === 'failed') reject(fromWire(report.error))
        else this.#take(report)
      })
    })
    // Whoever waits for it hears of it; nobody does where the process has died first.
    this.started.catch(() => {})
  }

  send(order: Order | HeldOrder): void {
    this.#channel.send(order)
  }

  /** Resolves to the answer; never, if the other side is gone or blocked, unless `lose()` tells. */
  ask(order: Asked): Promise<CloseReport | undefined> {
    const id = (this.#lastId += 1)
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) throw this.#lost
      this.#asked.set(id, { resolve, reject })
      this.send({ ...order, id })
    })
  }

  /** Nothing will come any more: rejects all that waits for an answer, or will. */
  lose(error: Error): void {
    this.#lost ??= error
    this.#fail(error)
    for (const answer of this.#asked.values()) answer.reject(error)
    this.#asked.clear()
  }

  /** As it was told last. */
  inFlight(): InFlight[] {
    const now = performance.now()
    return this.#inFlight.map(([one, startedAt]) => ({ ...one, ageMs: now - startedAt }))
  }

  /** Resolves when it is told anew. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#onChanged.push(resolve))
  }

  /** What is in the way of a closing that has not come to its end, as far as it was told. */
  inItsWay(): Blocker[] {
    if (this.#drainedAt === undefined) return this.inFlight().map(asBlocker)
    const ageMs = performance.now() - this.#drainedAt
    return [...this.#cut, { kind: 'hook', method: this.#hook, path: '', ageMs }]
  }

  #take(report: Exclude<Report | News, { type: 'started' | 'failed' }>): void {
    switch (report.type) {
      case 'inFlight':
        this.#told(report)
        return
      case 'drained':
        this.#cut = report.cut
        this.#hook = report.hook
        this.#drainedAt = performance.now()
        return
      case 'done':
        return this.#answer(report.id)?.resolve(report.result)
      case 'refused':
        return this.#answer(report.id)?.reject(fromWire(report.error))
      default:
        this.#listeners.news?.(report)
    }
  }

  #told(report: Extract<Report, { type: 'inFlight' }>): void {
    const now = performance.now()
    const news = report.inFlight.map((one) => [one, now - one.ageMs] as const)
    this.#inFlight = inFlightAfter(this.#inFlight, report, news)
    this.#listeners.changed?.()
    for (const look of this.#onChanged.splice(0)) look()
  }

  #answer(id: number): Answer | undefined {
    const answer = this.#asked.get(id)
    this.#asked.delete(id)
    return answer
  }
}
