// @ts-check
import { inRandomOrder } from './order.js'

const SIDES = /** @type {const} */ (['bare', 'portzero'])

/** @typedef {'bare' | 'portzero'} Side */

/**
 * One side, ready to be measured, again and again. Whoever opened it ends it.
 * @template Sample
 * @typedef {{ measure: () => Promise<Sample>, end: () => void }} Subject
 */

/**
 * How much is measured, at most.
 * @typedef {object} Extent
 * @property {number} rounds how often both sides are opened anew: two processes that run the same program already differ
 * @property {number} pairs in each round
 * @property {number} seconds for the pairs of each round
 */

/**
 * The samples that both sides gave; those at the same index belong together.
 * @template Sample
 * @typedef {Record<Side, Sample[]>} Pairs
 */

/**
 * Measures both sides in turn, in random order in each pair.
 * @template Sample
 * @param {Extent} extent
 * @param {(side: Side) => Promise<Subject<Sample>>} open
 * @returns {Promise<Pairs<Sample>>}
 */
export async function measurePairs({ rounds, pairs, seconds }, open) {
  /** @type {Pairs<Sample>} */
  const samples = { bare: [], portzero: [] }
  for (let round = 1; round <= rounds; round += 1) {
    const [bare, portzero] = await Promise.all([open('bare'), open('portzero')])
    const subjects = { bare, portzero }
    const end = performance.now() + seconds * 1000
    for (let pair = 1; pair <= pairs && performance.now() < end; pair += 1) {
      for (const side of inRandomOrder(SIDES)) samples[side].push(await subjects[side].measure())
    }
    bare.end()
    portzero.end()
  }
  return samples
}
