// @ts-check
// Under load, with the servers of both sides in one process: they have the same memory, and the same code of Node's. Of two processes, V8
// lets the young generation of one grow at another time than that of the other, by what they have loaded besides; which of them gains by
// that is chance, and more than tracking costs.
import { measurePairs } from '../lib/pairs.js'
import { open, rowsOf, underLoad } from '../start/under-load.js'

/**
 * @param {import('../start/kinds.js').Subject} subject
 * @param {import('../lib/pairs.js').Extent & { burst: number }} how
 * @returns {Promise<import('../lib/table.js').Row[]>}
 */
export async function inOneProcess(subject, how) {
  const { app, control = false } = subject
  /** @type {ReturnType<typeof open> | undefined} */
  let opened
  const pairs = await measurePairs(how, async (side) => {
    const { child, ports } = await (opened ??= open(app, ['bare', control ? 'bare' : 'portzero']))
    const measure = await underLoad(child, ports[side === 'bare' ? 0 : 1] ?? 0, how.burst)
    const end = () => {
      opened = undefined
      child.end()
    }
    return { measure, end }
  })
  return rowsOf(subject, pairs)
}
