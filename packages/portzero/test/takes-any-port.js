// @ts-check
// A stranger that knows nothing of reservations. Told a number, it listens on that many ports, connects to each, and keeps
// them all until it is told the next number. The kernel picks the ports on both sides.
import { once } from 'node:events'
import net from 'node:net'

/** @type {net.Server[]} */
let servers = []
/** @type {net.Socket[]} */
let sockets = []

process.on('message', (count) => {
  void take(Number(count)).then(() => process.send?.(count))
})

/** @param {number} count */
async function take(count) {
  // Without a TIME_WAIT for each.
  for (const socket of sockets) socket.resetAndDestroy()
  for (const server of servers) server.close()
  servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  sockets = (await Promise.all(servers.map(connect))).flat()
}

/** @param {net.Server} server */
async function connect(server) {
  const { port } = /** @type {net.AddressInfo} */ (server.address())
  const socket = net.connect(port, '127.0.0.1').on('error', () => {})
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')])
  return [accepted.on('error', () => {}), socket]
}
