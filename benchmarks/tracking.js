// @ts-check
// What it costs to know what is in flight: answers under load, of a bare server and of portzero's, in turn.
// Only where both sides answer by the same code: for apps with a fetch method, `start` shows what the adapter adds.
import { machine, printTable } from './lib/table.js'
import { inOneProcess } from './tracking/in-one-process.js'
import { withoutNetwork } from './tracking/without-network.js'

/** Less than 3 % of throughput. */
const target = { least: 0.97 }

const bursts = { rounds: 16, pairs: 30, seconds: 8, burst: 0.06 }

console.log(machine())

console.log('\nWithout a network, and under load over 16 connections')
printTable([
  await withoutNetwork(),
  ...(await inOneProcess({ name: 'node:http', app: 'http', target }, bursts)),
  ...(await inOneProcess({ name: 'node:http, later', app: 'later', target }, bursts)),
  ...(await inOneProcess({ name: 'fastify', app: 'fastify', target }, bursts)),
  ...(await inOneProcess({ name: 'fastify beside itself', app: 'fastify', control: true }, bursts)),
  ...(await inOneProcess({ name: 'node:http beside itself', app: 'http', control: true }, bursts)),
])

console.log(`\n${machine()}`)
