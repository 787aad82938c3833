// @ts-check
// CPU time of a request and its answer without a network, whose noise is many times what tracking costs: requests come in, and
// answers go out, over a stream in memory. Both sides in one process, in short blocks, in turn.
import http from 'node:http'
import { Duplex } from 'node:stream'
import { serve } from 'portzero'
import { measurePairs } from '../lib/pairs.js'
import { compare } from '../lib/statistics.js'

/** @typedef {import('../lib/pairs.js').Side} Side */

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
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
  const live = side === 'portzero' ? await serve(server) : undefined
  const ask = clientOf(server)
  await ask(WARM_UP)
  const measure = async () => {
    const before = process.cpuUsage()
    await ask(BLOCK)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / BLOCK
  }
  return { measure, end: () => void live?.close() }
}

/**
 * Asks over one connection, one request at a time.
 * @param {http.Server} server
 * @returns {(count: number) => Promise<void>}
 */
function clientOf(server) {
  let answered = () => {}
  const connection = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => {
      done()
      answered()
    },
    writev: (_chunks, done) => {
      done()
      answered()
    },
  })
  // What http asks of a socket besides.
  Object.assign(connection, { setTimeout: () => connection, bytesWritten: 0 })
  server.emit('connection', connection)
  return (count) =>
    new Promise((resolve) => {
      let left = count
      answered = () => {
        left -= 1
        if (left === 0) resolve()
        else setImmediate(() => connection.push(REQUEST))
      }
      connection.push(REQUEST)
    })
}
