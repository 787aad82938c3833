// @ts-check
import net from 'node:net'

const REQUEST = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

/**
 * Asks a server over kept connections, each with one request at a time, and resolves to what it was answered.
 * It is as thin as possible: a client that needs as much CPU as the server would hide what the server needs.
 * @param {number} port
 * @param {{ connections: number, seconds: number }} load
 * @returns {Promise<{ count: number, seconds: number }>}
 */
export async function load(port, { connections, seconds }) {
  const startedAt = performance.now()
  const end = startedAt + seconds * 1000
  const counts = await Promise.all(Array.from({ length: connections }, () => keepAsking(port, end)))
  const count = counts.reduce((sum, answers) => sum + answers, 0)
  return { count, seconds: (performance.now() - startedAt) / 1000 }
}

/**
 * @param {number} port
 * @param {number} end
 * @returns {Promise<number>}
 */
function keepAsking(port, end) {
  return new Promise((resolve, reject) => {
    let count = 0
    const socket = net.connect(port, '127.0.0.1').setNoDelay(true)
    socket.write(REQUEST)
    socket.on('data', (chunk) => {
      // The answers are short and all alike: each arrives whole, and ends so.
      if (!chunk.toString('latin1').endsWith('ok')) return
      count += 1
      if (performance.now() < end) socket.write(REQUEST)
      else socket.end()
    })
    socket.once('close', () => resolve(count)).once('error', reject)
  })
}
