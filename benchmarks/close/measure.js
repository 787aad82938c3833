// @ts-check
import { Cell } from './cell.js'
import { closers } from './closers.js'
import { ClosingServer } from './closing-server.js'

/** @typedef {import('./closers.js').CloserName} CloserName */
/** @typedef {import('./columns.js').Column} Column */

/** How often each cell is measured; those of the others less often where a column takes too long. */
const TRIES = 10
const LEAST = 3
/** What a column may take, in ms. */
const ENOUGH = 15_000

/**
 * Closes servers of each closer in each situation: one after another, in turn, so that what slows the machine for a while slows all.
 * Resolves to a row of cells for each closer.
 * @param {readonly Column[]} columns
 * @param {CloserName[]} names
 * @param {import('./closers.js').Certificate} [certificate]
 * @returns {Promise<Map<CloserName, Cell[]>>}
 */
export async function measure(columns, names, certificate) {
  const rows = new Map(names.map((name) => [name, columns.map((column) => new Cell(name, column))]))
  /** @type {Map<CloserName, ClosingServer>} */
  const servers = new Map()
  for (const index of columns.keys()) {
    const cells = [...rows.values()].flatMap((row) => row[index] ?? [])
    const end = performance.now() + ENOUGH
    for (let round = 1; round <= TRIES; round += 1) {
      const isLate = round > LEAST && performance.now() > end
      for (const cell of shuffled(cells)) {
        if (cell.isSettled || (isLate && cell.closer !== 'portzero')) continue
        const server = servers.get(cell.closer) ?? new ClosingServer(cell.closer)
        servers.set(cell.closer, server)
        if (!(await cell.try(server, certificate))) servers.delete(cell.closer)
      }
    }
  }
  for (const server of servers.values()) server.end()
  await Promise.all([...rows.values()].flat().map((cell) => cell.done()))
  return rows
}

/** @param {1 | 2} version of HTTP */
export function closersFor(version) {
  const names = /** @type {CloserName[]} */ (Object.keys(closers))
  return names.filter((name) => {
    const { only = version } = /** @type {import('./closers.js').Closer} */ (closers[name])
    return only === version
  })
}

/**
 * @template Item
 * @param {readonly Item[]} items
 */
function shuffled(items) {
  return items
    .map((item) => ({ item, rank: Math.random() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}
