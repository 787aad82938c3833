// @ts-check
// What is connected while a server closes. Each visit resolves when its clients are where they should be, to what will
// become of each of them.
import { once } from 'node:events'
import http2 from 'node:http2'
import { WebSocket } from 'ws'
import { Connection } from './connection.js'

/** @typedef {Promise<string>[]} Fates */
/** @typedef {(port: number) => Promise<Fates>} Visit */

/**
 * Connections that were used, all at once.
 * @param {number} count
 * @param {number} times
 * @returns {Visit}
 */
export function used(count, times) {
  return async (port) => {
    const connections = await open(count, port)
    for (let time = 1; time <= times; time += 1) {
      await Promise.all(connections.map((connection) => connection.ask('/')))
    }
    return connections.map((connection) => connection.closed.then(() => 'closed'))
  }
}

/**
 * @param {number} count
 * @returns {Visit}
 */
export function silent(count) {
  return several(count, async (connection) => connection.closed.then(() => 'closed'))
}

/** @type {Visit} */
export const halfSent = several(1, async (connection) => {
  connection.send('GET / HTTP/1.1\r\nHo')
  return connection.closed.then(() => 'closed')
})

/**
 * Not waited for.
 * @param {number} count
 * @param {string} path
 * @returns {Visit}
 */
export function asking(count, path) {
  return several(count, async (connection) => fateOf(connection.ask(path)))
}

/**
 * The next request as soon as the last is answered, until the server says that there is no next.
 * @param {number} count
 * @returns {Visit}
 */
export function askingBackToBack(count) {
  return several(count, async (connection) => {
    const askOn = async () => {
      let answered = false
      do answered = await connection.ask('/')
      while (answered && !connection.isLast)
      return answered
    }
    return fateOf(askOn())
  })
}

/**
 * @param {number} count
 * @returns {Visit}
 */
export function webSockets(count) {
  return async (port) => {
    const sockets = Array.from({ length: count }, () => new WebSocket(`ws://127.0.0.1:${port}`))
    await Promise.all(sockets.map((socket) => once(socket, 'open')))
    return sockets.map(async (socket) => {
      const [code] = await once(socket, 'close')
      return `code ${code}`
    })
  }
}

/**
 * A session, idle or with requests in flight.
 * @param {number} count of requests
 * @returns {Visit}
 */
export function session(count) {
  return async (port) => {
    const client = http2.connect(`https://localhost:${port}`, { rejectUnauthorized: false })
    client.on('error', () => {})
    await fateOfStream(client, '/')
    const fates = Array.from({ length: count }, () => fateOfStream(client, '/slow'))
    return [...fates, once(client, 'close').then(() => 'closed')]
  }
}

/**
 * @param {number} count
 * @param {(connection: Connection) => Promise<string>} visit
 * @returns {Visit}
 */
function several(count, visit) {
  return async (port) => (await open(count, port)).map(visit)
}

/**
 * @param {number} count
 * @param {number} port
 */
function open(count, port) {
  return Promise.all(Array.from({ length: count }, () => Connection.open(port)))
}

/** @param {Promise<boolean>} answered */
async function fateOf(answered) {
  return (await answered) ? 'answered' : 'lost'
}

/**
 * @param {http2.ClientHttp2Session} client
 * @param {string} path
 * @returns {Promise<string>}
 */
function fateOfStream(client, path) {
  return new Promise((resolve) => {
    const stream = client.request({ ':path': path }).setEncoding('latin1')
    let body = ''
    stream.on('data', (chunk) => (body += chunk))
    stream.on('error', () => {})
    stream.once('close', () => resolve(body === 'ok' ? 'answered' : 'lost'))
  })
}
