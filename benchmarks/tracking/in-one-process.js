// @ts-check
// Under load, with the servers of both sides in one process: they have the same memory, and the same code of Node's. Of two processes, V8
// lets the young generation of one grow at another time than that of the other, by what they have loaded besides; which of them gains by
// that is chance, and more than tracking costs.
import { Child } from '../lib/child.js'
import { measurePairs } from '../lib/pairs.js'
import { rowsOf, underLoad } from '../start/under-load.js'

const SERVER = new URL('server.js', import.meta.url)

/** @typedef {import('../lib/pairs.js').Side} Side */

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {import('../start/sides.js').App} app
 * @property {import('../lib/table.js').Row['target']} [target]
 * @property {boolean} [control] measure the bare side as both sides
 */

/**
 * @param {Subject} subject
 * @param {import('../lib/pairs.js').Extent & { burst: number }} how
 * @returns {Promise<import('../lib/table.js').Row[]>}
 */
export async function inOneProcess(subject, how) {
  const args = subject.control === true ? [subject.app, 'control'] : [subject.app]
  /** @type {Promise<{ child: Child<any>, ports: Record<Side, number> }> | undefined} */
  let opened
  const open = async () => {
    const child = new Child(SERVER, args)
    return { child, ports: await child.ask() }
  }
  const pairs = await measurePairs(how, async (side) => {
    const { child, ports } = await (opened ??= open())
    const end = () => {
      opened = undefined
      child.end()
    }
    return { measure: await underLoad(child, ports[side], how.burst), end }
  })
  return rowsOf(subject, pairs)
}
