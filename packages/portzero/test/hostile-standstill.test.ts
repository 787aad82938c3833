import { once } from 'node:events'
import http from 'node:http'
import type { Socket } from 'node:net'
import { serve } from 'portzero'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'

/** What closing leaves a connection to a client that may be using it, in ms. */
const MOMENT = 25
/** How long ago the connection was used then, at most, in ms. */
const JUST_NOW = 5
/** How long the process stands still, in ms. */
const STANDSTILL = 40

test('a connection that was just used is left to its client, though the process stands still as closing begins', async () => {
  const server = await serve((_request: unknown, response: http.ServerResponse) => {
    response.end('answer')
  })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  let usedAt: number
  let socket: Socket
  // What runs for the first time takes longer.
  do {
    usedAt = performance.now()
    socket = await use(server.url, agent)
  } while (performance.now() - usedAt > JUST_NOW)

  const closing = server.close()
  const left = MOMENT - (performance.now() - usedAt)
  const ended = new Promise((resolve) => socket.once('close', resolve))
  standStill(STANDSTILL)
  const stoodUntil = performance.now()
  await ended

  // A timer may fire a little early.
  expect(performance.now() - stoodUntil).toBeGreaterThan(left - 2)
  expect((await closing).outcome).toBe('graceful')
})

test.each([1, 2, 3, 4, 5])(
  'a WebSocket whose client answers is not named, though the process stands still until the grace is over, from turn %i on',
  async (turn) => {
    const app = http.createServer()
    const sockets = new WebSocketServer({ server: app })
    onTestFinished(() => sockets.close())
    const server = await serve(app, { grace: STANDSTILL })
    const client = new WebSocket(server.url.replace('http', 'ws'))
    await once(client, 'open')
    const closed = once(client, 'close')

    const closing = server.close()
    const next = (left: number): void =>
      left === 0 ? standStill(2 * STANDSTILL) : void setImmediate(next, left - 1)
    next(turn)

    expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect((await closed)[0]).toBe(1001)
  },
)

test('a program that has answered in time is not closed by force, though this process stands still until the grace is over', async () => {
  const answers = "require('http').createServer((q, r) => r.end('answer')).listen(process.argv[1])"
  const server = await serve(
    { command: `NODE_OPTIONS= node -e "${answers}" {port}` },
    { grace: STANDSTILL },
  )
  const answer = server.fetch('/').then((response) => response.text())

  const closing = server.close()
  setImmediate(standStill, 2 * STANDSTILL)

  expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(await answer).toBe('answer')
})

function standStill(ms: number): void {
  const from = performance.now()
  while (performance.now() - from < ms);
}

/** The connection on which it is answered. */
async function use(url: string, agent: http.Agent): Promise<Socket> {
  const sent = http.get(url, { agent })
  const [socket, response] = await new Promise<[Socket, http.IncomingMessage]>(
    (resolve, reject) => {
      sent.once('response', (answer) => resolve([answer.socket, answer])).once('error', reject)
    },
  )
  await response.toArray()
  return socket
}
