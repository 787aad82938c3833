// @ts-check
// Run under Valgrind: answers so many requests without a network, and ends.
import { once } from 'node:events'
import http from 'node:http'
import { answer, answerLater } from '../start/sides.js'
import { clientOf } from '../tracking/in-memory.js'

const [side, kind, requests] = process.argv.slice(2)

const server = http.createServer(kind === 'later' ? (...args) => void answerLater(...args) : answer)
if (side === 'portzero') {
  const { serve } = await import('portzero')
  await serve(server)
} else {
  // Node follows the connections of a server from when it listens.
  await once(server.listen(0, '127.0.0.1'), 'listening')
}
await clientOf(server)(Number(requests))
process.exit()
