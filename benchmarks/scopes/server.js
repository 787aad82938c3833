// @ts-check
// A server that takes a second to start.
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

const { STARTS = '', PORT = '0' } = process.env

appendFileSync(STARTS, `${process.pid}\n`)
await delay(1_000)
const server = createServer((_, response) => response.end('ok')).listen(Number(PORT), '127.0.0.1')
server.once('listening', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`http://127.0.0.1:${port}`)
})
