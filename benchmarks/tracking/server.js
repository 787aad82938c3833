// @ts-check
// Forked by in-one-process.js: an app as both sides serve it, in one process. Says their ports, then as start/server.js does.
import { apps } from '../start/sides.js'

const [app, control] = /** @type {[import('../start/sides.js').App, string?]} */ (
  process.argv.slice(2)
)
const sides = apps[app]
const startBare = await sides.bare()
const startOther = control === undefined ? await sides.portzero() : startBare
const [bare, portzero] = [await startBare(), await startOther()]

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.(user + system)
})
// It would go on listening.
process.on('disconnect', () => process.exit())
process.send?.({ bare: bare.port, portzero: portzero.port })
