// @ts-check
// Forked by start.js: loads one side in a fresh process, runs one cycle, says how long that took in ms, and ends.
import { clients } from './clients.js'
import { apps } from './sides.js'

const [app, side] = /** @type {[import('./sides.js').App, import('./sides.js').Side]} */ (
  process.argv.slice(2)
)
const startedAt = performance.now()
const start = await apps[app][side]()
const server = await start()
await clients.ending(server)
await server.close()
process.send?.(performance.now() - startedAt)
