// Stands for the main process of a run, and its only worker: shares a server, and exits at a moment: `shares-and-exits.js <app> <moment> [exit code]`.
import { existsSync, readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { acquire, define, heedShared } from 'portzero/shared'

const [app, moment, exitCode = '0'] = process.argv.slice(2)
const { PORTZERO_STATE_DIR: state } = process.env

heedShared()
const acquiring = acquire(define(app, { scope: 'run' }), { slot: 0, workerId: '0' })
if (moment === 'starting') {
  while (!isNoted()) await delay(5)
} else {
  const { server } = await acquiring
  if (moment === 'dead') {
    await fetch(`${server.url}/dies`).catch(() => {})
    await server.exited
  }
}
process.exit(Number(exitCode))

function isNoted() {
  return existsSync(state) && readdirSync(state).some((file) => file.endsWith('.json'))
}
