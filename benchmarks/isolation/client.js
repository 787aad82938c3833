// @ts-check
import { once } from 'node:events'
import net from 'node:net'

const REQUEST = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'

/**
 * Asks once on a new connection, which it ends.
 * @param {number} port
 */
export async function askOnce(port) {
  const socket = net.connect(port, '127.0.0.1')
  socket.write(REQUEST)
  await answered(socket)
  socket.destroy()
}

/**
 * Milliseconds of each of many answers, one after another on a kept connection.
 * @param {number} port
 * @param {number} count
 */
export async function latencies(port, count) {
  const socket = net.connect(port, '127.0.0.1').setNoDelay(true)
  const times = []
  while (times.length < count) {
    const startedAt = performance.now()
    socket.write(REQUEST)
    await answered(socket)
    times.push(performance.now() - startedAt)
  }
  socket.destroy()
  return times
}

/** @param {net.Socket} socket */
async function answered(socket) {
  let answer = ''
  while (!answer.endsWith('ok')) {
    const [chunk] = await once(socket, 'data')
    answer += String(chunk)
  }
}
