// @ts-check
// Run under Valgrind: answers so many requests without a network, and ends.
import http from 'node:http'
import { answer, answerLater, listening } from '../start/sides.js'
import { clientOf } from '../tracking/in-memory.js'

const [side, kind, requests] = process.argv.slice(2)

const server = http.createServer(kind === 'later' ? (...args) => void answerLater(...args) : answer)
if (side === 'portzero') {
  const { serve } = await import('portzero')
  await serve(server)
} else {
  await listening(server)
}
await clientOf(server)(Number(requests))
process.exit()
