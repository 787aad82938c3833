// @ts-check
// The app in a child process or thread of its own, started by hand: it tells its port.
import { parentPort } from 'node:worker_threads'
import app from './app.js'

app.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (app.address())
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  if (parentPort !== null) parentPort.postMessage(port)
  else if (process.send !== undefined) process.send(port)
  else console.log(port)
})
