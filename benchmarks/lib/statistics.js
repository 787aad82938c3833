// @ts-check

/**
 * @param {readonly number[]} values
 * @param {number} [part] 0.5 for the median, 0.25 and 0.75 for the quartiles
 */
export function quantile(values, part = 0.5) {
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * part
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position % 1)
}

/**
 * Two series that were measured pair by pair, compared.
 * @typedef {object} Comparison
 * @property {number} bare median
 * @property {number} portzero median
 * @property {number} ratio median of the ratios of the pairs
 * @property {[number, number]} middle what the middle half of these ratios lies between
 * @property {[number, number]} range what their median lies between in the long run, with a certainty of 95 %
 * @property {number} pairs
 */

/**
 * Ratios are taken pair by pair, so that what slows the machine for a while slows both sides of a pair.
 * @param {readonly number[]} bare
 * @param {readonly number[]} portzero
 * @returns {Comparison}
 */
export function compare(bare, portzero) {
  const ratios = portzero.map((value, index) => value / (bare[index] ?? Number.NaN))
  return {
    bare: quantile(bare),
    portzero: quantile(portzero),
    ratio: quantile(ratios),
    middle: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    range: rangeOfMedian(ratios),
    pairs: ratios.length,
  }
}

/**
 * How many of the values lie below the true median is binomial: its standard deviation is half the root of their number.
 * @param {readonly number[]} values
 * @returns {[number, number]}
 */
function rangeOfMedian(values) {
  const part = Math.min(0.5, 0.98 / Math.sqrt(values.length))
  return [quantile(values, 0.5 - part), quantile(values, 0.5 + part)]
}
