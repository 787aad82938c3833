// @ts-check
// Serves, asks and closes 1,000 times, after 500 times to warm up, and prints what the process holds before and after.
import { readdirSync } from 'node:fs'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { queryObjects } from 'node:v8'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { serve } from 'portzero'

const hono = new Hono().get('/', (c) => c.text('ok'))
/** @type {import('node:http').RequestListener} */
const listener = (_request, response) => void response.end('ok')

/** @type {Record<string, () => import('portzero').Target>} */
const targets = {
  listener: () => listener,
  hono: () => hono,
  factory: () => () => listener,
  fastify: () => Fastify().get('/', async () => 'ok'),
}

/** @type {string[]} */
const warnings = []
process.on('warning', ({ name, message }) => {
  if (name !== 'ExperimentalWarning') warnings.push(message)
})

const make = targets[process.argv[2] ?? '']
if (!make) throw new Error(`There is no target ${process.argv[2]}.`)

await cycle(500)
const before = await measure()
await cycle(1_000)
const after = await measure()
process.stdout.write(JSON.stringify({ before, after, warnings }))

/** @param {number} times */
async function cycle(times) {
  for (let round = 0; round < times; round += 1) {
    const server = await serve(/** @type {() => import('portzero').Target} */ (make)())
    await (await server.fetch('/')).text()
    await server.close()
  }
}

async function measure() {
  // What ends on its own needs a few turns: undici frees its sockets a moment after they close.
  await delay(1_500)
  globalThis.gc?.()
  await delay(50)
  globalThis.gc?.()
  await delay(50)
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo(),
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    // Counts what is still reachable; of no use to speak of before Node 20.13.
    servers: queryObjects(net.Server),
    sockets: queryObjects(net.Socket),
    heap: process.memoryUsage().heapUsed,
  }
}
