// @ts-check
import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../lib/statistics.js'

/** @typedef {import('./closing-server.js').ClosingServer} ClosingServer */
/** @typedef {import('./closing-server.js').Closed} Closed */
/** @typedef {import('./closing-server.js').CloserName} CloserName */
/** @typedef {import('./columns.js').Column} Column */
/** @typedef {Closed & { fates: string[] }} Sample */

/** What is slower, in ms, is tried once, and waited for in the background. */
const SLOW = 1_500
/** What takes no longer than this, in ms, does not hang. */
const PATIENCE = 8_000
/** How long after the closing the clients may take to notice it, in ms. */
const NOTICE = 500

/** One closer in one situation. */
export class Cell {
  /** @type {Sample[]} */
  #samples = []
  /** @type {'hangs' | 'crashes' | undefined} */
  #failure
  /** @type {Promise<void> | undefined} */
  #late

  /**
   * @param {CloserName} closer
   * @param {Column} column
   */
  constructor(closer, column) {
    this.closer = closer
    this.column = column
  }

  get tries() {
    return this.#samples.length
  }

  /** True if there is nothing more to learn. */
  get isSettled() {
    return this.#late !== undefined || this.#failure !== undefined || this.ms > SLOW / 2
  }

  /** Median. */
  get ms() {
    return quantile(this.#samples.map(({ ms }) => ms))
  }

  /** Median, of the time after the app had ended its last answer. */
  get afterWork() {
    return quantile(this.#samples.map(({ afterWork }) => afterWork))
  }

  get fates() {
    return this.#samples.flatMap(({ fates }) => fates)
  }

  /**
   * True if this is how a server should close.
   * @param {number} [slowness] how much longer it may take, on a machine that is slower
   */
  isReached(slowness = 1) {
    const { good, reach } = this.column
    return (
      this.#failure === undefined &&
      this.afterWork <= reach * slowness &&
      this.fates.every((fate) => fate === good || fate === 'closed')
    )
  }

  /**
   * Measures once. Resolves to true if the process can be used again; if not, it is ended here.
   * @param {ClosingServer} server
   * @param {import('./closing-server.js').Certificate} [certificate]
   */
  async try(server, certificate) {
    const { visit, moment, busy = false, webSockets } = this.column
    const port = await server.open({ certificate, webSockets })
    const fates = await visit(port)
    const closing = server.close(moment)
    const outcome = await Promise.race([closing, sleep(SLOW, undefined)])
    if (outcome === undefined && !busy) this.#late = this.#wait(server, closing, fates)
    else await this.#note(outcome, fates)
    if (outcome === undefined && busy) server.end()
    return outcome !== undefined && outcome !== 'crashed'
  }

  /** Resolves when what is slow is done too, or shown to hang. */
  async done() {
    await this.#late
  }

  /**
   * @param {ClosingServer} server
   * @param {Promise<Closed | 'crashed'>} closing
   * @param {Promise<string>[]} fates
   */
  async #wait(server, closing, fates) {
    await this.#note(await Promise.race([closing, sleep(PATIENCE - SLOW, undefined)]), fates)
    server.end()
  }

  /**
   * @param {Closed | 'crashed' | undefined} outcome
   * @param {Promise<string>[]} fates
   */
  async #note(outcome, fates) {
    const known = await Promise.all(
      fates.map((fate) => Promise.race([fate, sleep(NOTICE, 'open')])),
    )
    if (outcome === undefined) this.#failure = 'hangs'
    else if (outcome === 'crashed') this.#failure = 'crashes'
    const closed = typeof outcome === 'object' ? outcome : { ms: NaN, afterWork: NaN }
    this.#samples.push({ ...closed, fates: known })
  }

  /** As a table has it. */
  get text() {
    return [this.#failure ?? this.#time(0.5), this.#others()]
      .filter((part) => part !== '')
      .join(' ')
  }

  /** The fastest try: what other work of the machine has disturbed least. */
  get fastest() {
    return this.#time(0)
  }

  /** @param {number} part */
  #time(part) {
    const at = (/** @type {'ms' | 'afterWork'} */ figure) =>
      inMs(
        quantile(
          this.#samples.map((sample) => sample[figure]),
          part,
        ),
      )
    return this.column.works === true ? `${at('ms')} +${at('afterWork')}` : at('ms')
  }

  /** What became of the clients, unless that is as it should be. */
  #others() {
    const fates = this.fates.filter((fate) => fate !== 'closed')
    const codes = [...new Set(fates.filter((fate) => fate.startsWith('code')))]
    if (codes.length > 0) return `(${codes.map((code) => code.slice(5)).join(', ')})`
    const lost = fates.filter((fate) => fate === 'lost').length
    const { bad = 'lost' } = this.column
    if (lost === 0) return ''
    if (lost === fates.length) return `all ${bad}`
    return `${(lost / this.#samples.length).toFixed(1)} ${bad}`
  }
}

/** @param {number} value */
function inMs(value) {
  return value.toFixed(value < 10 ? 1 : 0)
}
