// @ts-check
// The three kinds of measurement: each makes rows of the table.
import { Child } from '../lib/child.js'
import { measurePairs } from '../lib/pairs.js'
import { compare } from '../lib/statistics.js'
import { open, rowsOf, underLoad } from './under-load.js'

/** @typedef {import('../lib/pairs.js').Side} Side */
/** @typedef {import('../lib/pairs.js').Extent} Extent */
/** @typedef {import('../lib/table.js').Row} Row */
/** @typedef {import('./clients.js').Client} Client */
/** @typedef {import('./sides.js').App} App */

// A process for each side, so that neither compiles, collects or replaces anything for the other.
const CYCLES = new URL('cycles.js', import.meta.url)
const COLD = new URL('cold.js', import.meta.url)

const ms = (/** @type {number} */ value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`

/**
 * @typedef {object} Subject what a row is about
 * @property {string} name
 * @property {App} app
 * @property {Row['target']} [target]
 * @property {boolean} [control] measure the bare side as both sides
 */

/**
 * Time of a cycle (create, listen, one answer, close) in a process that has run many.
 * @param {Subject} subject
 * @param {Extent & { client?: Client, warmUp?: number, burst?: number }} how cycles before, and in, each measurement
 * @returns {Promise<Row[]>}
 */
export async function warm(subject, how) {
  const { client = 'ending', warmUp = 1_000, burst = 20 } = how
  const { bare, portzero } = await measurePairs(how, async (side) => {
    /** @type {Child<number>} */
    const child = new Child(CYCLES, [subject.app, actual(subject, side), client])
    await child.ask()
    await child.ask(warmUp)
    return { measure: () => child.ask(burst), end: () => child.end() }
  })
  return [row(subject, compare(bare, portzero))]
}

/**
 * Time of the first cycle of a process, with the loading of its modules, without the start of Node.js.
 * @param {Subject} subject
 * @param {Extent} extent
 * @returns {Promise<Row[]>}
 */
export async function fresh(subject, extent) {
  const { bare, portzero } = await measurePairs(extent, async (side) => ({
    measure: () => new Child(COLD, [subject.app, actual(subject, side)]).ask(),
    end: () => {},
  }))
  return [row(subject, compare(bare, portzero))]
}

/**
 * Answers a second, and the CPU time that the server needs for each.
 * @param {Subject} subject
 * @param {Extent & { burst: number }} how seconds of each burst
 * @returns {Promise<Row[]>}
 */
export async function loaded(subject, how) {
  const pairs = await measurePairs(how, async (side) => {
    const { child, ports } = await open(subject.app, [actual(subject, side)])
    const measure = await underLoad(child, ports[0] ?? 0, how.burst)
    return { measure, end: () => child.end() }
  })
  return rowsOf(subject, pairs)
}

/**
 * @param {Subject} subject
 * @param {Side} side
 */
function actual({ control = false }, side) {
  return control ? 'bare' : side
}

/**
 * @param {Subject} subject
 * @param {Row['measured']} measured
 * @returns {Row}
 */
function row({ name, target }, measured) {
  return { name, measured, show: ms, ...(target && { target }) }
}
