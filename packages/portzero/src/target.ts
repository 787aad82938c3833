import http from 'node:http'
import net from 'node:net'
import { describe, isModule } from './describe.ts'
import { PortzeroError } from './errors.ts'
import { checkProgram } from './options.ts'
import type {
  AsgiTarget,
  CommandTarget,
  Factory,
  FetchApp,
  ListeningApp,
  NodeListener,
  NodeServer,
} from './types.ts'

/** An app, and how it is to be served. */
export type KnownApp =
  | { kind: 'server'; server: NodeServer }
  | { kind: 'fetch'; app: FetchApp }
  | { kind: 'listener'; listener: NodeListener }
  | { kind: 'listening'; app: ListeningApp }

/** What can be run in this process, or in a thread or process that runs nothing else. */
export type HostableTarget =
  | KnownApp
  | { kind: 'factory'; factory: Factory }
  /** `isAlone`: nothing else has run, or will, in this thread or process. Elsewhere a module runs anew, also where it was loaded before. */
  | { kind: 'module'; location: URL | string; isAlone: boolean }

/** What was handed to `serve()`. */
export type KnownTarget =
  | HostableTarget
  | { kind: 'command'; target: CommandTarget }
  | { kind: 'asgi'; target: AsgiTarget }

const ACCEPTED =
  'Accepted are: an app with a fetch() method (Hono, h3, Elysia), a Node request listener of two or more parameters (Express, koa.callback()), ' +
  'a server of node:http, node:https or node:http2, an app with a listen() method (Fastify, Koa, NestJS), ' +
  'a factory (a function of no or one parameter that returns any of these), a module by URL or path, ' +
  "a program ({ command: 'npm start' }), or an ASGI app ({ asgi: 'main:app' })."

/** Says what a target is. Throws `INVALID_TARGET`; and `INVALID_OPTION` or `UNKNOWN_OPTION` for what belongs to a program. Opens nothing. */
export function identifyTarget(target: unknown): KnownTarget {
  if (target instanceof URL) return { kind: 'module', location: target, isAlone: false }
  if (typeof target === 'string' && target !== '') {
    return { kind: 'module', location: target, isAlone: false }
  }
  const app = identifyApp(target)
  if (app !== undefined) return app
  if (isProgram(target, 'command')) return { kind: 'command', target }
  if (isProgram(target, 'asgi')) return { kind: 'asgi', target }
  if (typeof target === 'function') return { kind: 'factory', factory: target as Factory }
  throw new PortzeroError('INVALID_TARGET', `Cannot serve ${describe(target)}. ${ACCEPTED}`)
}

function isProgram(target: unknown, kind: 'command'): target is CommandTarget
function isProgram(target: unknown, kind: 'asgi'): target is AsgiTarget
function isProgram(target: unknown, kind: 'command' | 'asgi'): boolean {
  if (typeof target !== 'object' || target === null || !Object.hasOwn(target, kind)) return false
  checkProgram(kind, target)
  return true
}

/** Says how an app is to be served, or `undefined` if it is of no known kind. */
function identifyApp(value: unknown): KnownApp | undefined {
  if (typeof value !== 'function' && (typeof value !== 'object' || value === null)) return undefined
  if (isNodeServer(value)) return { kind: 'server', server: value }
  if (hasMethod(value, 'fetch')) return { kind: 'fetch', app: value as FetchApp }
  if (value instanceof net.Server) return undefined
  if (hasMethod(value, 'listen')) return { kind: 'listening', app: value as ListeningApp }
  if (typeof value === 'function' && value.length >= 2) {
    return { kind: 'listener', listener: value as NodeListener }
  }
  return undefined
}

/** True of the servers of node:http, node:https and node:http2; the classes of the last are not public. */
export function isNodeServer(value: unknown): value is NodeServer {
  return (
    value instanceof net.Server &&
    (value instanceof http.Server || isHttps(value) || isHttp2(value))
  )
}

/** True of the servers that speak HTTP/2. */
export function isHttp2(server: net.Server): boolean {
  return 'updateSettings' in server
}

/** True of the servers whose connections are encrypted. */
export function isSecure(server: net.Server): boolean {
  return 'setSecureContext' in server
}

// Has the class of https alone: a bare tls server takes no requests.
function isHttps(server: net.Server): boolean {
  return isSecure(server) && 'closeIdleConnections' in server
}

function hasMethod(value: object, name: string): boolean {
  return typeof (value as Record<string, unknown>)[name] === 'function'
}

/** What a factory or a module gave. */
export interface Given {
  /** The app, if it gave one. */
  app?: KnownApp
  /** True if it was found in a module namespace, or any other object, and not given by itself. */
  wrapped: boolean
  /** What was given, in words. */
  description: string
}

/** The server that an app holds or runs on, where it says: Fastify, srvx, Nest. */
export function serverOf(known: KnownApp): NodeServer | undefined {
  if (known.kind === 'server') return known.server
  if (known.kind === 'listener') return undefined
  const app = known.app as {
    server?: unknown
    node?: { server?: unknown }
    getHttpServer?: (() => unknown) | undefined
  }
  const candidates = [
    app.server,
    app.node?.server,
    typeof app.getHttpServer === 'function' ? app.getHttpServer() : undefined,
  ]
  return candidates.find(isNodeServer)
}

const NAMES = ['default', 'app', 'server', 'handler'] as const

/** How what is no app yet becomes one. */
interface Means {
  /** Calls a factory that a module exports by default. */
  build(factory: Factory): unknown
  /** Waits for a promise that it exports by default: `build()` of its own, or a `main()` that may never be over. */
  settle(promise: PromiseLike<unknown>): unknown
}

/**
 * Finds the app in what a factory returned or a module exports. Throws `INVALID_TARGET` or `RESPONSE_FROM_FACTORY` for what can
 * neither be nor hold an app.
 */
export async function findApp(result: unknown, means: Means): Promise<Given> {
  const description = describe(result)
  if (result === undefined || result === null) return { wrapped: true, description }
  if (typeof result !== 'object' || isResponse(result)) {
    const app = identifyApp(result)
    if (app === undefined) throw unusable(result)
    return { app, wrapped: false, description }
  }
  const itself = identifyApp(result)
  if (itself !== undefined && !isModule(result)) return { app: itself, wrapped: false, description }
  for (const name of NAMES) {
    const value = (result as Record<string, unknown>)[name]
    const app = identifyApp(value)
    if (app !== undefined) return { app, wrapped: true, description }
    if (name !== 'default') continue
    if (typeof value === 'function') {
      const built = await findApp(await means.build(value as Factory), means)
      return { ...built, wrapped: true }
    }
    if (isPromise(value)) {
      const settled = await means.settle(value)
      // What else it may give, such as an address, is no app.
      const found =
        typeof settled === 'object' ? (await findApp(settled, means)).app : identifyApp(settled)
      if (found !== undefined) return { app: found, wrapped: true, description }
      continue
    }
    // CommonJS that was compiled from ES modules arrives one level deeper.
    if (typeof value === 'object' && value !== null) {
      const inner = await findApp(value, means)
      if (inner.app !== undefined) return { app: inner.app, wrapped: true, description }
    }
  }
  // A module may itself have the shape of an app: `export function fetch(request)`.
  return itself === undefined
    ? { wrapped: true, description }
    : { app: itself, wrapped: true, description }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && hasMethod(value, 'then')
}

// By its tag, as every implementation of fetch has a class of its own.
function isResponse(value: unknown): boolean {
  return Object.prototype.toString.call(value) === '[object Response]'
}

function unusable(result: unknown): PortzeroError {
  if (isResponse(result)) {
    return new PortzeroError(
      'RESPONSE_FROM_FACTORY',
      'The factory returned a Response. A function of one parameter is taken for a factory, which builds the app once; ' +
        'a bare (request) => Response is served as an app when it is wrapped: { fetch: handler }.',
    )
  }
  const advice =
    typeof result === 'function'
      ? 'If it answers requests, return it wrapped: { fetch: handler }. '
      : ''
  return new PortzeroError(
    'INVALID_TARGET',
    `The factory returned ${describe(result)}, which is no app. ${advice}${ACCEPTED}`,
  )
}
