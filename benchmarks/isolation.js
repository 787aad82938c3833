// @ts-check
// Apps in a place of their own: from the call that starts them to their first answer, started by hand and by portzero, in turn.
import { measurePairs } from './lib/pairs.js'
import { compare, quantile } from './lib/statistics.js'
import { machine, printTable } from './lib/table.js'
import { askOnce, latencies } from './isolation/client.js'
import { python, runtimes } from './isolation/sides.js'
import { whyNot } from '../scripts/asgi.js'

const START = { most: 1.15 }
const LATENCY = { most: 1.05 }

const ms = (/** @type {number} */ value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`
const extent = { rounds: 1, pairs: 25, seconds: 25 }
const names = Object.keys(runtimes).filter((name) => name !== 'uvicorn' || python !== undefined)

console.log(machine())

console.log('\nUntil the first answer')
const rows = []
for (const name of names) rows.push(await untilAnswered(name))
printTable(rows)

if (python === undefined) console.log(`  uvicorn: not run (${whyNot()})`)
else {
  console.log('\nAnswers of uvicorn on a kept connection: a median of 200')
  printTable([await keptAlive()])
}

console.log(`\n${machine()}`)

/**
 * @param {string} name
 * @returns {Promise<import('./lib/table.js').Row>}
 */
async function untilAnswered(name) {
  const runtime = /** @type {typeof runtimes[string]} */ (runtimes[name])
  const { bare, portzero } = await measurePairs(extent, async (side) => {
    const once = async () => {
      const startedAt = performance.now()
      const { port, end } = await runtime[side]()
      await askOnce(port)
      const took = performance.now() - startedAt
      await end()
      return took
    }
    // What is loaded for the first one is not the others'.
    await once()
    return { measure: once, end: () => {} }
  })
  return { name, measured: compare(bare, portzero), show: ms, target: START }
}

/** @returns {Promise<import('./lib/table.js').Row>} */
async function keptAlive() {
  const { bare, portzero } = await measurePairs({ ...extent, seconds: 15 }, async (side) => {
    const { port, end } = await /** @type {typeof runtimes[string]} */ (runtimes['uvicorn'])[side]()
    await latencies(port, 200)
    const measure = async () => quantile(await latencies(port, 200))
    return { measure, end: () => void end() }
  })
  return {
    name: 'uvicorn, kept connection',
    measured: compare(bare, portzero),
    show: ms,
    target: LATENCY,
  }
}
