// @ts-check
import net from 'node:net'

/** @typedef {import('./sides.js').Running} Running */
/** @typedef {keyof typeof clients} Client */

/** What asks a server once. Each resolves when it has the answer, and is the same for both sides. */
export const clients = {
  /**
   * As plain as can be. The client ends the connection: where a server does, its port stays taken for a minute, and
   * thousands of cycles would run out of ports.
   * @param {Running} server
   */
  async ending({ port }) {
    await new Promise((resolve, reject) => {
      const socket = ask(port, () => socket.end())
      socket.once('close', resolve).once('error', reject)
    })
  },

  /**
   * Leaves its connection open, for the server to close, as pools do.
   * @param {Running} server
   */
  async keeping({ port }) {
    await new Promise((resolve, reject) => {
      ask(port, () => resolve(undefined)).once('error', reject)
    })
  },

  /**
   * The server's own `fetch`, or else that of Node.
   * @param {Running} server
   */
  async fetching(server) {
    const response = await (server.fetch?.('/') ?? fetch(`http://127.0.0.1:${server.port}/`))
    await response.text()
  },
}

/**
 * @param {number} port
 * @param {() => void} answered
 */
function ask(port, answered) {
  const socket = net.connect(port, '127.0.0.1')
  socket.setEncoding('latin1').write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
    if (answer.endsWith('ok')) answered()
  })
  return socket
}
