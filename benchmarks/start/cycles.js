// @ts-check
// Forked by start.js: one side, which starts a server, asks it once and closes it, as often as it is told to.
import { setImmediate as turn } from 'node:timers/promises'
import { quantile } from '../lib/statistics.js'
import { clients } from './clients.js'
import { apps } from './sides.js'

const [app, side, client] =
  /** @type {[import('./sides.js').App, import('./sides.js').Side, import('./clients.js').Client]} */ (
    process.argv.slice(2)
  )
const ask = clients[client]
const start = await apps[app][side]()

process.on('message', (/** @type {number} */ count) => void answer(count))
process.send?.('ready')

/**
 * Tells the median time of a cycle, in ms.
 * @param {number} count
 */
async function answer(count) {
  const times = []
  while (times.length < count) {
    const startedAt = performance.now()
    const server = await start()
    await ask(server)
    await server.close()
    times.push(performance.now() - startedAt)
    // What a cycle leaves to the event loop is not the next one's.
    await turn()
  }
  process.send?.(quantile(times))
}
