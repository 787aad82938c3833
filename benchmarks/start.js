// @ts-check
// Starting, answering once and closing, and answering under load: the bare library and portzero, in turn.
import { machine, printTable } from './lib/table.js'
import { fresh, loaded, warm } from './start/kinds.js'

/** @typedef {import('./lib/table.js').Row} Row */

const START = { most: 1.25 }
const LOAD = { least: 0.97 }

/** Seconds after which no other row is begun. What has a target is measured in any case. */
const ENOUGH = 220

// Until then V8 is still compiling, more on our side, as there is more to compile.
const often = { rounds: 5, pairs: 30, seconds: 2, warmUp: 5_000 }
const once = { rounds: 1, pairs: 50, seconds: 2 }
// Short bursts, and many processes: two that run the same program differ by some percent, and so do two moments of one machine.
const bursts = { rounds: 24, pairs: 6, seconds: 2, burst: 0.06 }
const control = { ...bursts, rounds: 12 }
const processes = { rounds: 1, pairs: 10, seconds: 4 }
const kept = { ...once, client: /** @type {const} */ ('keeping'), warmUp: 50, burst: 5 }
const fetched = { ...once, client: /** @type {const} */ ('fetching') }

console.log(machine())

console.log('\nCreated, listening, asked once, closed; and under load')
await show([
  () => warm({ name: 'node:http', app: 'http', target: START }, often),
  () => warm({ name: '@hono/node-server', app: 'hono', target: START }, often),
  () => loaded({ name: 'node:http, load', app: 'http', target: LOAD }, bursts),
  () => loaded({ name: '@hono/node-server, load', app: 'hono', target: LOAD }, bursts),
])

console.log('\nTo compare: no targets')
await show(
  [
    () =>
      warm(
        { name: 'node:http beside itself', app: 'http', control: true },
        { ...often, rounds: 2 },
      ),
    () => loaded({ name: 'node:http beside itself, load', app: 'http', control: true }, control),
    () => warm({ name: 'node:http, after 1,000 cycles', app: 'http' }, once),
    () => warm({ name: '@hono/node-server, after 1,000', app: 'hono' }, once),
    () => fresh({ name: 'node:http, first in a process', app: 'http' }, processes),
    () => fresh({ name: '@hono/node-server, first', app: 'hono' }, processes),
    () => warm({ name: 'node:http, client stays', app: 'http' }, kept),
    () => warm({ name: 'node:http, asked by fetch', app: 'http' }, fetched),
    () => warm({ name: 'factory beside node:http', app: 'factory' }, once),
    () => warm({ name: 'express', app: 'express' }, once),
    () => warm({ name: 'koa', app: 'koa' }, once),
    () => warm({ name: 'fastify', app: 'fastify' }, once),
  ],
  ENOUGH,
)

console.log(`\n${machine()}`)

/**
 * @param {(() => Promise<Row[]>)[]} measurements
 * @param {number} [enough]
 */
async function show(measurements, enough = Infinity) {
  const rows = []
  let leftOut = 0
  for (const measure of measurements) {
    // Since this process began.
    if (performance.now() < enough * 1000) rows.push(...(await measure()))
    else leftOut += 1
  }
  printTable(rows)
  if (leftOut > 0) console.log(`  ${leftOut} more left out, to be done in time`)
}
