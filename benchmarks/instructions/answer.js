// @ts-check
// Run under Valgrind: answers so many requests without a network, and ends.
import http from 'node:http'
import { clientOf } from '../tracking/in-memory.js'

const [side, kind, requests] = process.argv.slice(2)

const answer = (/** @type {unknown} */ _request, /** @type {http.ServerResponse} */ response) =>
  void response.end('ok')
const later = async (
  /** @type {unknown} */ request,
  /** @type {http.ServerResponse} */ response,
) => {
  await Promise.resolve()
  answer(request, response)
}

const server = http.createServer(kind === 'later' ? (...args) => void later(...args) : answer)
if (side === 'portzero') {
  const { serve } = await import('portzero')
  await serve(server)
}
await clientOf(server)(Number(requests))
process.exit()
