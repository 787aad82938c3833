import type { EventEmitter } from 'node:events'
import type { Dispatcher } from 'undici'
import { undici } from './undici.ts'

const EVENTS = ['connect', 'disconnect', 'connectionError', 'drain']

/** What other clients are given: one dispatcher for all lives of an app, which stands for that of the present one. */
export class LastingDispatcher {
  readonly given: Dispatcher
  #present!: Dispatcher

  /** Whoever makes `present` closes it. */
  constructor(present: Dispatcher) {
    const { Dispatcher } = undici()
    this.given = Object.assign(new Dispatcher(), {
      dispatch: (...args) => this.#present.dispatch(...args),
      close: (...args: []) => this.#present.close(...args),
      destroy: (...args: []) => this.#present.destroy(...args),
    } satisfies Partial<Dispatcher>)
    this.follow(present)
  }

  /** Stands for this one from now on. */
  follow(present: Dispatcher): void {
    if (present === this.#present) return
    this.#present = present
    const [from, to]: [EventEmitter, EventEmitter] = [present, this.given]
    for (const event of EVENTS) from.on(event, (...args: unknown[]) => to.emit(event, ...args))
  }
}
