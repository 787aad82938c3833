// @ts-check
// Forked: an app as one side serves it, or as several do. Says their ports, then at each message how much CPU time it has used, in µs.
import { apps } from './sides.js'

const [app, ...sides] = /** @type {[import('./sides.js').App, ...import('./sides.js').Side[]]} */ (
  process.argv.slice(2)
)
/** @type {number[]} */
const ports = []
for (const side of sides) {
  const start = await apps[app][side]()
  const { port } = await start()
  ports.push(port)
}

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.(user + system)
})
// It would go on listening.
process.on('disconnect', () => process.exit())
process.send?.(ports)
