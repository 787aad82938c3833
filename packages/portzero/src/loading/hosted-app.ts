import type { AddressInfo } from 'node:net'
import { PortzeroError, messageOf } from '../errors.ts'
import { BoundSocket } from '../socket.ts'
import { findApp, isHttp2, isSecure, serverOf } from '../target.ts'
import type { Given, KnownApp, HostableTarget } from '../target.ts'
import type { Factory, FactoryContext, NodeServer } from '../types.ts'
import { listenerOf, serverOfFetch, serverOfListener, speaksHttp1 } from './app-server.ts'
import type { Protocol } from './app-server.ts'
import { encrypt } from './encrypt.ts'
import { ListenCapture } from './listen-capture.ts'
import { loadModule } from './module.ts'

/** Runs an app in this process. Whoever starts it calls `close()`, after a failed start too. */
export class HostedApp {
  /** The server that was put on our socket. */
  server: NodeServer | undefined
  readonly #target: HostableTarget
  readonly #protocol: Protocol
  readonly #watch: (server: NodeServer) => void
  readonly #capture: ListenCapture
  /** Given by `start()`. */
  #socket!: BoundSocket
  #given: Given | undefined
  /** The app that was told to listen. */
  #told: KnownApp | undefined
  /** The server that was made for the app, as it brought none. */
  #made: NodeServer | undefined
  /** Where the server listened already. */
  #own: AddressInfo | undefined
  #decrypt: () => void = () => {}
  #closed = false

  /** `watch` is shown the server before it has any connection. */
  constructor(target: HostableTarget, protocol: Protocol, watch: (server: NodeServer) => void) {
    this.#target = target
    this.#protocol = protocol
    this.#watch = watch
    const isAlone = target.kind === 'module' && target.isAlone
    this.#capture = new ListenCapture((server) => this.#put(server), isAlone)
  }

  /**
   * Makes the server of an app that was handed over and brings none. Nobody has to know the URL before it, so it may bind the
   * socket itself, which is quicker. (One that is to be encrypted has to know its port.)
   */
  async prepare(): Promise<NodeServer | undefined> {
    const target = this.#target
    if (this.#protocol.certificate !== undefined) return undefined
    if (target.kind !== 'fetch' && target.kind !== 'listener') return undefined
    const server = await this.#serverFor(target)
    this.#watch(server)
    this.server = server
    return server
  }

  /** Loads the target, and resolves when its server listens on the socket. Returns nothing if that holds the socket already. */
  start(socket: BoundSocket, context: () => FactoryContext): Promise<void> | undefined {
    this.#socket = socket
    return this.server === undefined ? this.#start(context) : undefined
  }

  /** True if the app has brought a server of its own. */
  get bringsServer(): boolean {
    return this.server !== undefined && this.server !== this.#made
  }

  /** Puts the server on another socket, where the one that it had is closed; and where it had listened before. */
  async resume(socket: BoundSocket): Promise<void> {
    const { server } = this
    this.#socket = socket
    if (server === undefined) return
    const own = this.#own && (await BoundSocket.bind(this.#own.address, { port: this.#own.port }))
    if (this.#closed) this.#awaitClose(server)
    own?.put(server)
    socket.put(server)
    await listening(server)
  }

  /** What the start waits for now. */
  get waitsFor(): string {
    return this.#given === undefined ? 'the target, which is still loading' : 'the app to listen'
  }

  /** The error of a start that takes too long: says how far it came. */
  overdue(ms: number): PortzeroError {
    const { caught } = this.#capture
    if (this.#given === undefined || this.#given.app !== undefined || caught !== undefined) {
      return new PortzeroError(
        'START_TIMEOUT',
        `The server did not start within ${ms} ms: it waits for ${this.waitsFor}. ` +
          "Look for what it waits for, or give it longer with the option 'startTimeout'.",
      )
    }
    return new PortzeroError(
      'NOTHING_LISTENED',
      `Nothing listened within ${ms} ms. The target was loaded and gave ${this.#given.description}; it started no server. ` +
        'Export or return the app (as default, app, server or handler), or call listen() while it loads. ' +
        'An ES module runs once in a process: one that starts itself, and was imported before, does not start again.',
    )
  }

  /** Runs the app's own close(), where it has one. */
  closeApp(): unknown {
    const app = this.#given?.app
    const { server } = this
    if (app === undefined || server === undefined || !('app' in app)) return undefined
    if (app !== this.#told && serverOf(app) !== server) return undefined
    const itself = app.app as { close?: () => unknown }
    return typeof itself.close === 'function' ? itself.close() : undefined
  }

  /** Closes the server, if nothing of the app's own has, and what its load started besides. */
  close(): Promise<void> | undefined {
    const { server } = this
    if (server !== undefined && this.bringsServer) {
      return this.#closeServer(server).finally(() => this.#tidy())
    }
    // Nothing of the app's own hears of it.
    server?.close()
    this.#tidy()
    return undefined
  }

  #tidy(): void {
    this.#capture.end()
    this.#decrypt()
  }

  async #start(context: () => FactoryContext): Promise<void> {
    this.#given = await this.#load(context)
    await this.#listen(this.#given)
    this.#capture.loaded()
  }

  #put(server: NodeServer): void {
    const { certificate } = this.#protocol
    if (certificate !== undefined && !isSecure(server)) {
      this.#decrypt = encrypt(server, certificate, this.#socket.port)
    }
    this.#watch(server)
    this.server = server
    this.#awaitClose(server)
    const own = server.address()
    if (typeof own === 'object' && own !== null) this.#own = own
    this.#socket.put(server)
  }

  #awaitClose(server: NodeServer): void {
    this.#closed = false
    // A listener of the app's may throw: those behind it do not hear of it.
    server.prependOnceListener('close', () => (this.#closed = true))
  }

  async #load(context: () => FactoryContext): Promise<Given> {
    const target = this.#target
    const means = {
      build: (factory: Factory) =>
        attempt(`The factory failed${hintFor(factory)}`, () =>
          this.#capture.run(() => factory(context())),
        ),
      settle: (promise: PromiseLike<unknown>) =>
        attempt('The promise that the module exports was rejected', () =>
          Promise.race([promise, this.#capture.whenCaught()]),
        ),
    }
    switch (target.kind) {
      case 'factory':
        return findApp(await means.build(target.factory), means)
      case 'module': {
        const load = (): Promise<unknown> => loadModule(target.location, !target.isAlone)
        return findApp(await this.#capture.run(load), means)
      }
      default:
        return { app: target, wrapped: false, description: 'an app' }
    }
  }

  async #listen(given: Given): Promise<void> {
    const server = await this.#serverFor(await this.#chosen(given))
    if (server !== this.#capture.caught) this.#put(server)
    await listening(server)
    if (this.#protocol.http2 && !isHttp2(server)) throw speaksHttp1()
  }

  async #chosen(given: Given): Promise<KnownApp> {
    const now = choose(given, this.#capture)
    return now ?? { kind: 'server', server: await this.#capture.started() }
  }

  async #serverFor(known: KnownApp): Promise<NodeServer> {
    switch (known.kind) {
      case 'server':
        return known.server
      case 'fetch':
        return (this.#made = await serverOfFetch(known.app, this.#protocol))
      case 'listener':
        return (this.#made = serverOfListener(known.listener, this.#protocol))
      case 'listening': {
        const own = serverOf(known)
        if (own?.listening === true) return own
        const listener = this.#protocol.http2 ? listenerOf(known.app) : undefined
        if (listener !== undefined) return (this.#made = serverOfListener(listener, this.#protocol))
        const { host, port } = this.#socket
        this.#told = known
        const listen = known.app.listen as (options: object) => unknown
        await attempt('The app failed to start', () =>
          this.#capture.run(() => listen.call(known.app, { host, port })),
        )
        return this.#capture.started()
      }
    }
  }

  async #closeServer(server: NodeServer): Promise<void> {
    // What the app has just closed says so a tick later. What it closed before may have been kept from saying so, and does now.
    if (!server.listening) await new Promise<void>((resolve) => process.nextTick(resolve))
    if (this.#closed) return
    await new Promise<void>((resolve) => {
      server.prependOnceListener('close', () => resolve())
      server.close()
    })
  }
}

/** Says which app to serve: the one that started itself, or the one that was given. `undefined`: there is none yet. */
function choose({ app, wrapped }: Given, capture: ListenCapture): KnownApp | undefined {
  const { caught, helper } = capture
  if (caught === undefined) {
    return app ?? (helper === undefined ? undefined : { kind: 'server', server: helper })
  }
  if (app === undefined || wrapped || belongsTo(app, caught))
    return { kind: 'server', server: caught }
  throw new PortzeroError(
    'AMBIGUOUS_TARGET',
    `The factory started a server on port ${capture.askedPort}, and returned another app. Which of them to serve cannot be told. ` +
      'To serve the one that was started, return it, or nothing. To serve the one that was returned, let the other listen on port 0, or start it with serve().',
  )
}

function belongsTo(app: KnownApp, server: NodeServer): boolean {
  if (serverOf(app) === server) return true
  const handlers: unknown[] = server.listeners('request')
  return 'app' in app && handlers.includes(app.app)
}

async function listening(server: NodeServer): Promise<void> {
  if (server.listening) return
  await new Promise<void>((resolve) => server.once('listening', () => resolve()))
}

/** Runs a part of the start that belongs to the user, and says so if it throws. */
async function attempt<T>(what: string, run: () => T | PromiseLike<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw new PortzeroError('FACTORY_FAILED', `${what}: ${messageOf(cause)}`, { cause })
  }
}

/** A bare request handler, taken for a factory, mostly fails on what a request has and a context has not. */
function hintFor(factory: Factory): string {
  const source = Function.prototype.toString.call(factory)
  const takesRequest = /^(?:async\s+)?(?:function\b[^(]*)?\(?\s*req(?:uest)?\b/.test(source)
  return takesRequest
    ? ' (a function of one parameter is called once, to build the app; a request handler is wrapped: { fetch: handler })'
    : ''
}
