// @ts-check
// Closing in every situation that keeps a server open: what Node has, what npm has, and portzero, in turn.
import { generate } from 'selfsigned'
import { machine } from './lib/table.js'
import * as columns from './close/columns.js'
import { closersFor, measure } from './close/measure.js'
import { printTable } from './close/table.js'

console.log(machine())

console.log('\nHTTP/1.1\n')
const rows = await measure(columns.http1, closersFor(1))
printTable(columns.http1, rows, {
  'server.close()': 1.8,
  '+ closeIdleConnections()': 2.2,
  '+ closeAllConnections()': 1.7,
  'http-terminator': 1.8,
  stoppable: 2,
  'http-graceful-shutdown': 3,
  terminus: 2.9,
  'fastify.close()': 2.3,
  'fastify, forceClose': 2.3,
  'srvx close()': 1.6,
  'srvx close(true)': 1.7,
  'hono serve().close()': 2.2,
})

console.log('\nHTTP/2 over TLS\n')
const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }])
const sessions = await measure(columns.http2, closersFor(2), { key, cert })
printTable(columns.http2, sessions, { 'server.close(), session.close()': 0.7 })

console.log(`\n${machine()}`)
