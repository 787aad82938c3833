// @ts-check
// CPU time of a request and its answer without a network, whose noise is many times what tracking costs: requests come in, and
// answers go out, over a stream in memory. Both sides in one process, in short blocks, in turn.
import http from 'node:http'
import { serve } from 'portzero'
import { measurePairs } from '../lib/pairs.js'
import { compare } from '../lib/statistics.js'
import { listening } from '../start/sides.js'
import { clientOf } from './in-memory.js'

/** @typedef {import('../lib/pairs.js').Side} Side */

const BLOCK = 2_000
const WARM_UP = 40_000

/** @returns {Promise<import('../lib/table.js').Row>} */
export async function withoutNetwork() {
  const { bare, portzero } = await measurePairs({ rounds: 3, pairs: 60, seconds: 10 }, open)
  return {
    name: 'node:http, without a network, CPU',
    measured: compare(bare, portzero),
    show: (value) => `${value.toFixed(2)} µs`,
  }
}

/** @param {Side} side */
async function open(side) {
  const server = http.createServer((_request, response) => void response.end('ok'))
  const running = await (side === 'portzero' ? serve(server) : listening(server))
  const ask = clientOf(server)
  await ask(WARM_UP)
  const measure = async () => {
    const before = process.cpuUsage()
    await ask(BLOCK)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / BLOCK
  }
  return { measure, end: () => void running.close() }
}
