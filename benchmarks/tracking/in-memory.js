// @ts-check
import { Duplex } from 'node:stream'

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')

/**
 * Asks over one connection, one request at a time. The server listens already: Node follows the connections of one only from then on.
 * @param {import('node:http').Server} server
 * @returns {(count: number) => Promise<void>}
 */
export function clientOf(server) {
  let answered = () => {}
  const connection = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => {
      done()
      answered()
    },
    writev: (_chunks, done) => {
      done()
      answered()
    },
  })
  // What http asks of a socket besides.
  Object.assign(connection, { setTimeout: () => connection, bytesWritten: 0 })
  server.emit('connection', connection)
  return (count) =>
    new Promise((resolve) => {
      let left = count
      answered = () => {
        left -= 1
        if (left === 0) resolve()
        else setImmediate(() => connection.push(REQUEST))
      }
      connection.push(REQUEST)
    })
}
