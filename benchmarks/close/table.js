// @ts-check
import { quantile } from '../lib/statistics.js'

/** @typedef {import('./cell.js').Cell} Cell */
/** @typedef {import('./columns.js').Column} Column */

/**
 * What the goals were set by: what the others took in the first column, on a machine with nothing else to do, in ms.
 * @typedef {Readonly<Record<string, number>>} Yardstick
 */

/**
 * Prints a table in Markdown, and what our own row does not reach.
 * @param {readonly Column[]} columns
 * @param {Map<string, Cell[]>} rows
 * @param {Yardstick} yardstick
 */
export function printTable(columns, rows, yardstick) {
  const ours = rows.get('portzero') ?? []
  const slowness = slownessBy(yardstick, rows)
  const lines = [
    ['ms to closed', ...columns.map(({ title }) => title)],
    ...[...rows].map(([name, cells]) => [name, ...cells.map(({ text }) => text)]),
    ['portzero, fastest', ...ours.map(({ fastest }) => fastest)],
    ['to reach', ...columns.map(goal)],
    ['', ...ours.map((cell) => verdict(cell, slowness))],
  ]
  const widths = columns.map((_, index) => widthOf(lines, index + 1))
  const first = widthOf(lines, 0)
  const rule = [first, ...widths].map((width) => '-'.repeat(width))
  for (const [name = '', ...cells] of [...lines.slice(0, 1), rule, ...lines.slice(1)]) {
    const padded = cells.map((cell, index) => cell.padStart(widths[index] ?? 0))
    console.log(`| ${[name.padEnd(first), ...padded].join(' | ')} |`)
  }
  const others = [...rows.values()].flat().filter((cell) => !ours.includes(cell))
  console.log(
    `tries: ${range(ours)}, of the others ${range(others.filter((cell) => !cell.isSettled))}, of what is slow 1`,
  )
  console.log(
    `slower than where the goals were set: ${slowness.toFixed(1)} times, by what others took in the first column`,
  )
}

/**
 * @param {Yardstick} yardstick
 * @param {Map<string, Cell[]>} rows
 */
function slownessBy(yardstick, rows) {
  const ratios = Object.entries(yardstick).map(([name, ms]) => (rows.get(name)?.[0]?.ms ?? ms) / ms)
  return Math.max(1, quantile(ratios))
}

/**
 * @param {Cell} cell
 * @param {number} slowness
 */
function verdict(cell, slowness) {
  if (cell.isReached()) return 'reached'
  return cell.isReached(slowness) ? 'but for load' : 'MISSED'
}

/** @param {readonly Cell[]} cells */
function range(cells) {
  const tries = cells.map((cell) => cell.tries)
  const [least, most] = [Math.min(...tries), Math.max(...tries)]
  return least === most ? `${least}` : `${least} to ${most}`
}

/** @param {Column} column */
function goal({ reach, works = false, good }) {
  const time = works ? `work +${reach}` : `≤ ${reach}`
  if (good === 'answered') return `${time}, none`
  return good.startsWith('code') ? `${time} (${good.slice(5)})` : time
}

/**
 * @param {readonly string[][]} lines
 * @param {number} column
 */
function widthOf(lines, column) {
  return Math.max(...lines.map((line) => line[column]?.length ?? 0))
}
