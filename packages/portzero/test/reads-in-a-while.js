// @ts-check
// A client of HTTP/2 that lets the server send all of its answer before it reads any. It tells when the answer has begun, stands still
// until its input ends, and tells how many bytes came.
import { readSync } from 'node:fs'
import { connect } from 'node:http2'

const [url = ''] = process.argv.slice(2)
const WINDOW = 1_100_000

const session = connect(url, { settings: { initialWindowSize: WINDOW } })
session.on('error', () => {})
session.once('connect', () => session.setLocalWindowSize(WINDOW))
session.once('remoteSettings', () => {
  const stream = session.request({ ':path': '/' })
  let bytes = 0
  stream.once('response', () => {
    process.send?.('begun')
    readSync(0, Buffer.alloc(1))
  })
  stream.on('data', (chunk) => (bytes += chunk.length))
  // Told by what came.
  stream.on('error', () => {})
  stream.once('close', () => process.send?.(bytes, () => process.exit()))
})
