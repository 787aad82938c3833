// @ts-check
// Each way to close a server, on a server of its own. Each loads only what it needs, in a process of its own.
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import { fetchApp, listenerApp } from './apps.js'

/** @typedef {http.Server | http2.Http2SecureServer} NodeServer */
/** @typedef {import('./watch.js').Watch} Watch */
/** @typedef {{ key: string, cert: string }} Certificate with one, HTTP/2 is served; without, HTTP/1.1 in clear text */

/**
 * @typedef {object} Serving a server that listens on 127.0.0.1
 * @property {NodeServer} server
 * @property {() => Promise<unknown>} close
 */

/** @typedef {(watch: Watch, certificate?: Certificate) => Promise<Serving>} Start */

/**
 * @typedef {object} Closer
 * @property {Start} start
 * @property {1} [only] the version of HTTP, where it knows but one
 */

/** @typedef {keyof typeof closers} CloserName */

const HOST = '127.0.0.1'

/** What the closers that have a bound of their own are given, in ms. */
const BOUND = 1_000

export const closers = {
  'server.close()': { start: onNode((server) => () => closed(server)) },
  '+ closeIdleConnections()': {
    start: onNode((server) => () => {
      const done = closed(server)
      if ('closeIdleConnections' in server) server.closeIdleConnections()
      return done
    }),
    only: 1,
  },
  '+ closeAllConnections()': {
    start: onNode((server) => () => {
      const done = closed(server)
      if ('closeAllConnections' in server) server.closeAllConnections()
      return done
    }),
    only: 1,
  },
  'http-terminator': {
    start: onNode(async (server) => {
      const { createHttpTerminator } = await import('http-terminator')
      const terminator = createHttpTerminator({ server })
      return () => terminator.terminate()
    }),
  },
  stoppable: {
    start: onNode(async (server) => {
      const { default: stoppable } = await import('stoppable')
      const { stop } = stoppable(/** @type {http.Server} */ (server))
      return () => new Promise((resolve) => stop(resolve))
    }),
  },
  'http-graceful-shutdown': {
    start: onNode(async (server) => {
      const { default: gracefulShutdown } = await import('http-graceful-shutdown')
      return gracefulShutdown(server, { signals: '', timeout: BOUND, forceExit: false })
    }),
  },
  terminus: {
    start: onNode(async (server) => {
      const { createTerminus } = await import('@godaddy/terminus')
      const signal = 'SIGUSR2'
      let down = () => {}
      const onShutdown = () => {
        down()
        // It would go on to end the process.
        return new Promise(() => {})
      }
      process.setMaxListeners(0)
      createTerminus(/** @type {http.Server} */ (server), { signal, timeout: BOUND, onShutdown })
      return () =>
        new Promise((resolve) => {
          down = () => resolve(undefined)
          process.emit(signal, signal)
        })
    }),
  },
  'fastify.close()': { start: onFastify({}) },
  'fastify, forceClose': { start: onFastify({ forceCloseConnections: true }), only: 1 },
  'srvx close()': { start: onSrvx(false) },
  'srvx close(true)': { start: onSrvx(true), only: 1 },
  'hono serve().close()': {
    start: async (
      /** @type {Watch} */ watch,
      /** @type {Certificate | undefined} */ certificate,
    ) => {
      const { serve } = await import('@hono/node-server')
      const app = { fetch: fetchApp(watch), port: 0, hostname: HOST }
      const server = /** @type {NodeServer} */ (
        certificate === undefined
          ? serve(app)
          : serve({
              ...app,
              createServer: http2.createSecureServer,
              serverOptions: certificate,
            })
      )
      await once(server, 'listening')
      return { server, close: () => closed(server) }
    },
  },
  'server.close(), session.close()': {
    start: onNode((server) => {
      /** @type {Set<http2.Http2Session>} */
      const sessions = new Set()
      server.on('session', (/** @type {http2.Http2Session} */ session) => {
        sessions.add(session)
        session.once('close', () => sessions.delete(session))
      })
      return () => {
        const done = closed(server)
        for (const session of sessions) session.close()
        return done
      }
    }),
    only: 2,
  },
  portzero: {
    start: async (
      /** @type {Watch} */ watch,
      /** @type {Certificate | undefined} */ certificate,
    ) => {
      const { serve } = await import('portzero')
      const server = serverOfNode(watch, certificate)
      const live = await serve(server)
      return { server, close: () => live.close() }
    },
  },
}

/**
 * @param {(server: NodeServer) => Promise<Serving['close']> | Serving['close']} prepare says how to close
 * @returns {Start}
 */
function onNode(prepare) {
  return async (watch, certificate) => {
    const server = serverOfNode(watch, certificate)
    const close = await prepare(server)
    server.listen(0, HOST)
    await once(server, 'listening')
    return { server, close }
  }
}

/**
 * @param {Watch} watch
 * @param {Certificate} [certificate]
 * @returns {NodeServer}
 */
function serverOfNode(watch, certificate) {
  const listener = /** @type {http.RequestListener} */ (listenerApp(watch))
  if (certificate === undefined) return http.createServer(listener)
  return http2.createSecureServer(
    certificate,
    /** @type {Parameters<typeof http2.createSecureServer>[1]} */ (
      /** @type {unknown} */ (listener)
    ),
  )
}

/**
 * @param {{ forceCloseConnections?: true }} options
 * @returns {Start}
 */
function onFastify(options) {
  return async (watch, certificate) => {
    const { default: fastify } = await import('fastify')
    const tls = certificate && { http2: true, https: certificate }
    const app = fastify(/** @type {object} */ ({ ...options, ...tls }))
    const answer = listenerApp(watch)
    app.get('*', (request, reply) => {
      reply.hijack()
      answer(request.raw, reply.raw)
    })
    await app.listen({ port: 0, host: HOST })
    return { server: app.server, close: () => app.close() }
  }
}

/**
 * @param {boolean} closeActive
 * @returns {Start}
 */
function onSrvx(closeActive) {
  return async (watch, tls) => {
    const { serve } = await import('srvx')
    const fetch = fetchApp(watch)
    const app = serve({
      fetch,
      ...(tls && { tls }),
      port: 0,
      hostname: HOST,
      gracefulShutdown: false,
      silent: true,
    })
    await app.ready()
    const server = /** @type {NodeServer} */ (app.node?.server)
    return { server, close: () => app.close(closeActive) }
  }
}

/** @param {NodeServer} server */
function closed(server) {
  return new Promise((resolve) => server.close(resolve))
}
