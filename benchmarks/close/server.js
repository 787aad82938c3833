// @ts-check
// Forked by close.js: opens a server with one closer, and closes it, as often as it is told to.
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocketServer } from 'ws'
import { closers } from './closers.js'
import { Watch } from './watch.js'

/** @typedef {import('./closing-server.js').Opening} Opening */
/** @typedef {import('./closing-server.js').Moment} Moment */
/** @typedef {import('./closing-server.js').Closed} Closed */
/** @typedef {{ open: Opening } | { close: Moment }} Order */

const [closer] = /** @type {[import('./closers.js').CloserName]} */ (process.argv.slice(2))
const { start } = closers[closer]

/** @type {{ serving: import('./closers.js').Serving, watch: Watch }} */
let current

process.on('message', (/** @type {Order} */ order) => void follow(order))
// It would go on listening.
process.on('disconnect', () => process.exit())

/** @param {Order} order */
async function follow(order) {
  process.send?.('open' in order ? await open(order.open) : await close(order.close))
}

/** @param {Opening} opening */
async function open({ certificate, webSockets }) {
  const watch = new Watch()
  const serving = await start(watch, certificate)
  watch.follow(serving.server)
  if (webSockets === true) {
    const server = /** @type {import('node:http').Server} */ (serving.server)
    new WebSocketServer({ server }).on('connection', () => watch.begin())
  }
  current = { serving, watch }
  const address = /** @type {import('node:net').AddressInfo} */ (serving.server.address())
  return address.port
}

/**
 * @param {Moment} moment
 * @returns {Promise<Closed>}
 */
async function close({ after = 0, ...least }) {
  const { serving, watch } = current
  await watch.arrived(least)
  if (after > 0) await sleep(after)
  const calledAt = performance.now()
  await serving.close()
  await watch.empty()
  const closedAt = performance.now()
  return { ms: closedAt - calledAt, afterWork: closedAt - Math.max(calledAt, watch.answeredAt) }
}
