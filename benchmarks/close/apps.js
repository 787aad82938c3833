// @ts-check
// The same app twice: as a listener of Node, and as a function from a request to its response.
import { setTimeout as sleep } from 'node:timers/promises'

/** @typedef {import('./watch.js').Watch} Watch */

/** How long an answer takes, in ms. */
const WORK = 150
const CHUNKS = 10
const CHUNK = 'x'.repeat(1_000)
const EVENTS = { 'content-type': 'text/event-stream' }

/**
 * @param {Watch} watch
 * @returns {(request: { url?: string | undefined }, response: import('node:http').ServerResponse) => void}
 */
export function listenerApp(watch) {
  return ({ url }, response) => {
    watch.begin()
    void answer(url, response)
  }

  /**
   * @param {string | undefined} path
   * @param {import('node:http').ServerResponse} response
   */
  async function answer(path, response) {
    if (path === '/events') {
      response.writeHead(200, EVENTS).write('data: hello\n\n')
      return
    }
    if (path === '/slow') await sleep(WORK)
    if (path === '/streaming') for await (const chunk of chunks()) response.write(chunk)
    response.end('ok')
    watch.answered()
  }
}

/**
 * @param {Watch} watch
 * @returns {(request: Request) => Promise<Response>}
 */
export function fetchApp(watch) {
  return async ({ url }) => {
    watch.begin()
    const path = new URL(url).pathname
    if (path === '/events') {
      const start = (/** @type {ReadableStreamDefaultController} */ stream) =>
        stream.enqueue(bytes('data: hello\n\n'))
      return new Response(new ReadableStream({ start }), { headers: EVENTS })
    }
    if (path === '/streaming') return new Response(streaming())
    if (path === '/slow') await sleep(WORK)
    watch.answered()
    return new Response('ok')
  }

  function streaming() {
    return new ReadableStream({
      async start(stream) {
        for await (const chunk of chunks()) stream.enqueue(bytes(chunk))
        stream.close()
        watch.answered()
      },
    })
  }
}

/** The first at once. */
async function* chunks() {
  for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
    yield CHUNK
    await sleep(WORK / CHUNKS)
  }
}

/** @param {string} text */
function bytes(text) {
  return new TextEncoder().encode(text)
}
