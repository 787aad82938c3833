// @ts-check
// Forked by start.js: one server. Says its port, then at each message how much CPU time it has used, in µs.
import { apps } from './sides.js'

const [app, side] = /** @type {[import('./sides.js').App, import('./sides.js').Side]} */ (
  process.argv.slice(2)
)
const start = await apps[app][side]()
const { port } = await start()

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.(user + system)
})
// It would go on listening.
process.on('disconnect', () => process.exit())
process.send?.(port)
