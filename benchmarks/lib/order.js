// @ts-check

/**
 * @template T
 * @param {readonly T[]} all
 * @returns {T[]}
 */
export function inRandomOrder(all) {
  return all
    .map((one) => ({ one, rank: Math.random() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ one }) => one)
}
