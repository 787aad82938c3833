// @ts-check
import os from 'node:os'

/** @typedef {import('./statistics.js').Comparison} Comparison */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {Comparison} measured
 * @property {(value: number) => string} show
 * @property {{ most?: number, least?: number }} [target] of the ratio; left out where the row only informs
 */

const HEAD = ['', 'bare', 'portzero', 'ratio', 'middle half', '95 %', 'pairs', 'target', '']

/** @param {readonly Row[]} rows */
export function printTable(rows) {
  const lines = [HEAD, ...rows.map(cells)]
  const widths = HEAD.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  )
  for (const [first = '', ...rest] of lines) {
    const padded = rest.map((cell, index) => cell.padStart(widths[index + 1] ?? 0))
    console.log(`  ${first.padEnd(widths[0] ?? 0)}  ${padded.join('  ')}`.trimEnd())
  }
}

/** What the figures were measured on. */
export function machine() {
  const cpus = os.cpus()
  const load = os.loadavg().map((value) => value.toFixed(1))
  const date = new Date().toISOString().slice(0, 10)
  return `${date}, Node.js ${process.version}, ${process.platform} ${process.arch}, ${cpus.length} × ${cpus[0]?.model.trim() ?? 'unknown CPU'}, load ${load.join(' ')}`
}

/** @param {Row} row */
function cells({ name, measured, show, target = {} }) {
  const { bare, portzero, ratio, middle, range, pairs } = measured
  return [
    name,
    show(bare),
    show(portzero),
    ratio.toFixed(2),
    fromTo(middle),
    fromTo(range),
    String(pairs),
    ...verdict(measured, target),
  ]
}

/** @param {readonly [number, number]} range */
function fromTo(range) {
  return range.map((value) => value.toFixed(2)).join('–')
}

/**
 * With a question mark where more measuring could bring the ratio to the other side of the target.
 * @param {Comparison} measured
 * @param {NonNullable<Row['target']>} target
 */
function verdict({ ratio, range }, { most = Infinity, least = -Infinity }) {
  const target = most < Infinity ? `≤ ${most}` : least > -Infinity ? `≥ ${least}` : '–'
  if (target === '–') return [target, '']
  const isMet = (/** @type {number} */ value) => value <= most && value >= least
  const doubt = range.every((value) => isMet(value) === isMet(ratio)) ? '' : '?'
  return [target, `${isMet(ratio) ? 'met' : 'MISSED'}${doubt}`]
}
