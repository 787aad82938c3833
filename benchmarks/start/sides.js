// @ts-check
// Each app as it is started without portzero and with it. Each side loads only what it needs, in a process of its own.
import { once } from 'node:events'

/**
 * @typedef {object} Running a server that listens on 127.0.0.1
 * @property {number} port
 * @property {(path: string) => Promise<Response>} [fetch]
 * @property {() => Promise<unknown>} close
 */

/** @typedef {() => Promise<Running>} Start */
/** @typedef {import('../lib/pairs.js').Side} Side */
/** @typedef {keyof typeof apps} App */

export const apps = {
  http: {
    bare: async () => {
      const http = await import('node:http')
      return () => listening(http.createServer(answer))
    },
    portzero: async () => {
      const { serve } = await import('portzero')
      return () => serve(answer)
    },
  },
  later: {
    bare: async () => {
      const http = await import('node:http')
      return () => listening(http.createServer((...args) => void answerLater(...args)))
    },
    portzero: async () => {
      const { serve } = await import('portzero')
      return () => serve(answerLater)
    },
  },
  factory: {
    bare: async () => {
      const http = await import('node:http')
      return () => listening(http.createServer(answer))
    },
    portzero: async () => {
      const { serve } = await import('portzero')
      return () => serve(() => answer)
    },
  },
  hono: {
    bare: async () => {
      const { createAdaptorServer } = await import('@hono/node-server')
      const app = await honoApp()
      return () => listening(createAdaptorServer({ fetch: app.fetch }))
    },
    portzero: async () => {
      const { serve } = await import('portzero')
      const app = await honoApp()
      return () => serve(app)
    },
  },
  express: {
    bare: async () => {
      const app = await expressApp()
      return () => listened((host) => app.listen(0, host))
    },
    portzero: async () => {
      const { serve } = await import('portzero')
      const app = await expressApp()
      return () => serve(app)
    },
  },
  fastify: {
    bare: async () => {
      const build = await fastifyApp()
      return async () => {
        const app = build()
        await app.listen({ port: 0, host: HOST })
        return { port: portOf(app.server), close: () => app.close() }
      }
    },
    portzero: async () => {
      const { serve } = await import('portzero')
      const build = await fastifyApp()
      return () => serve(build())
    },
  },
  koa: {
    bare: async () => {
      const app = await koaApp()
      return () => listened((host) => app.listen(0, host))
    },
    portzero: async () => {
      const { serve } = await import('portzero')
      const app = await koaApp()
      return () => serve(app)
    },
  },
}

const HOST = '127.0.0.1'

/**
 * @param {import('node:http').IncomingMessage} _request
 * @param {import('node:http').ServerResponse} response
 */
export function answer(_request, response) {
  response.end('ok')
}

/**
 * Not before its handler has returned, as most apps do that wait for something.
 * @param {import('node:http').IncomingMessage} _request
 * @param {import('node:http').ServerResponse} response
 */
export async function answerLater(_request, response) {
  await Promise.resolve()
  response.end('ok')
}

async function honoApp() {
  const { Hono } = await import('hono')
  return new Hono().get('/', (context) => context.text('ok'))
}

async function expressApp() {
  const { default: express } = await import('express')
  return express().get('/', (_request, response) => void response.send('ok'))
}

/** Fastify's instances listen once. */
async function fastifyApp() {
  const { default: fastify } = await import('fastify')
  return () => fastify().get('/', () => 'ok')
}

async function koaApp() {
  const { default: Koa } = await import('koa')
  return new Koa().use((context) => void (context.body = 'ok'))
}

/**
 * @param {import('node:net').Server} server
 * @returns {Promise<Running>}
 */
export function listening(server) {
  return listened((host) => server.listen(0, host))
}

/**
 * @param {(host: string) => import('node:net').Server} listen
 * @returns {Promise<Running>}
 */
async function listened(listen) {
  const server = listen(HOST)
  await once(server, 'listening')
  return { port: portOf(server), close: () => new Promise((resolve) => server.close(resolve)) }
}

/** @param {import('node:net').Server} server */
function portOf(server) {
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port
}
