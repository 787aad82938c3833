// @ts-check
// Under load, with the servers of both sides in one process: they have the same memory, and the same code of Node's. Of two processes, V8
// lets the young generation of one grow at another time than that of the other, by what they have loaded besides; which of them gains by
// that is chance, and more than tracking costs.
import { inRandomOrder } from '../lib/order.js'
import { measurePairs } from '../lib/pairs.js'
import { open, rowsOf, underLoad } from '../start/under-load.js'

/** @typedef {import('../lib/pairs.js').Side} Side */
/** @typedef {Pick<Awaited<ReturnType<typeof open>>, 'child'> & { portOf: Record<Side, number> }} Opened */

/**
 * @param {import('../start/kinds.js').Subject} subject
 * @param {import('../lib/pairs.js').Extent & { burst: number }} how
 * @returns {Promise<import('../lib/table.js').Row[]>}
 */
export async function inOneProcess(subject, how) {
  const { app, control = false } = subject
  /** @type {Promise<Opened> | undefined} */
  let opened
  const pairs = await measurePairs(how, async (side) => {
    const { child, portOf } = await (opened ??= openBoth(app, control))
    const measure = await underLoad(child, portOf[side], how.burst)
    const end = () => {
      opened = undefined
      child.end()
    }
    return { measure, end }
  })
  return rowsOf(subject, pairs)
}

/**
 * Which side is started first is chance: the second has the process as the first has left it.
 * @param {import('../start/sides.js').App} app
 * @param {boolean} control
 * @returns {Promise<Opened>}
 */
async function openBoth(app, control) {
  const sides = inRandomOrder(/** @type {Side[]} */ (['bare', 'portzero']))
  const { child, ports } = await open(app, control ? ['bare', 'bare'] : sides)
  const portOf = {
    bare: ports[sides.indexOf('bare')] ?? 0,
    portzero: ports[sides.indexOf('portzero')] ?? 0,
  }
  return { child, portOf }
}
