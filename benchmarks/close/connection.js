// @ts-check
import { once } from 'node:events'
import net from 'node:net'

/** A connection that is spoken over by hand, one request at a time, and that only its server closes. */
export class Connection {
  /** Resolves when it is closed. */
  closed
  #socket
  #received = ''
  #onReceived = () => {}

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket.setNoDelay(true).setEncoding('latin1')
    socket.on('data', (chunk) => {
      this.#received += chunk
      this.#onReceived()
    })
    // It is closed then, which is what counts.
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => socket.once('close', () => resolve(undefined)))
  }

  /** @param {number} port */
  static async open(port) {
    const socket = net.connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** True if the last answer said that no other follows on this connection. */
  get isLast() {
    return /^connection: close\r$/im.test(this.#received)
  }

  /** @param {string} data */
  send(data) {
    this.#socket.write(data)
  }

  /**
   * Resolves to true when the answer has come to its end, to false if the connection ends before.
   * @param {string} path
   * @returns {Promise<boolean>}
   */
  ask(path) {
    this.#received = ''
    const answered = new Promise((resolve) => {
      this.#onReceived = () => isWhole(this.#received) && resolve(true)
    })
    this.send(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`)
    return Promise.race([answered, this.closed.then(() => isWhole(this.#received))])
  }
}

/** @param {string} received */
function isWhole(received) {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return false
  const body = received.slice(end + 4)
  const [, length] = /^content-length: (\d+)\r$/im.exec(received) ?? []
  return length === undefined ? body.endsWith('0\r\n\r\n') : body.length === Number(length)
}
