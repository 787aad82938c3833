import http from 'node:http'
import type * as Http2 from 'node:http2'
import type * as HonoAdapter from '@hono/node-server'
import type { Certificate } from '../certificate/certificate.ts'
import { PortzeroError } from '../errors.ts'
import type { FetchApp, ListeningApp, NodeListener, NodeServer } from '../types.ts'

/** What clients are to be spoken to. */
export interface Protocol {
  /** For TLS. Without it, clear text. */
  readonly certificate: Certificate | undefined
  readonly http2: boolean
}

/** Loaded for the first app that needs it, and kept: even a second import() takes its time. */
let adapter: Promise<typeof HonoAdapter> | undefined

/** A server for an app with a `fetch` method. One for HTTP/1.1 is not encrypted yet. */
export async function serverOfFetch(app: FetchApp, protocol: Protocol): Promise<NodeServer> {
  adapter ??= import('@hono/node-server')
  const { createAdaptorServer } = await adapter
  const fetch = app.fetch.bind(app) as Parameters<typeof createAdaptorServer>[0]['fetch']
  const createServer = (_options: object, listener: NodeListener): NodeServer =>
    serverOfListener(listener, protocol)
  const { Request: NodeRequest, Response: NodeResponse } = globalThis
  const server = createAdaptorServer({
    fetch,
    createServer: createServer as typeof http.createServer,
  })
  acceptInstances(globalThis.Request, NodeRequest)
  acceptInstances(globalThis.Response, NodeResponse)
  return server
}

/**
 * The adapter puts lighter classes in the place of Node's, which make Hono several times as fast. What Node's own `fetch` gives
 * is an instance of them too after this, as it was before.
 */
function acceptInstances(lighter: Class, node: Class): void {
  if (lighter === node) return
  Object.defineProperty(lighter, Symbol.hasInstance, {
    configurable: true,
    value(this: unknown, value: unknown): boolean {
      const prototype = this === lighter ? node.prototype : (this as Class).prototype
      return Object.prototype.isPrototypeOf.call(prototype, value as object)
    },
  })
}

interface Class {
  readonly prototype: object
}

/** A server for a Node request listener. One for HTTP/1.1 is not encrypted yet. */
export function serverOfListener(listener: NodeListener, protocol: Protocol): NodeServer {
  if (!protocol.http2) return http.createServer(listener as http.RequestListener)
  // Loaded where it is needed: it takes longer to load than all that is ours.
  const http2 = process.getBuiltinModule('node:http2')
  const answer = listener as unknown as Parameters<typeof Http2.createServer>[1]
  if (protocol.certificate === undefined) return http2.createServer(answer)
  const { key, cert } = protocol.certificate
  return http2.createSecureServer({ key, cert, allowHTTP1: true }, answer)
}

/** The request listener of an app that would make an HTTP/1.1 server for itself, where HTTP/2 may use it: Koa's, Connect. */
export function listenerOf(app: ListeningApp): NodeListener | undefined {
  const { callback, request } = app as { callback?: () => NodeListener; request?: unknown }
  if (typeof app !== 'function') {
    return typeof callback === 'function' ? callback.call(app) : undefined
  }
  // Express gives every request the prototype of an HTTP/1.1 one, which one of HTTP/2 cannot live with.
  return request instanceof http.IncomingMessage ? undefined : app
}

/** The error of an app that speaks HTTP/1.1, and nothing can be done about it. */
export function speaksHttp1(): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    "The option 'http2' of serve() must be left out for this app: it brings a server of its own, which speaks HTTP/1.1 only. " +
      'HTTP/2 works with an app that has a fetch() method (Hono, h3, Elysia), a Node request listener, Koa, ' +
      'Fastify({ http2: true }) and a server of node:http2. Express, and Nest on it, cannot speak HTTP/2.',
  )
}
