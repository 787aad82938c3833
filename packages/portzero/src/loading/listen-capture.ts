import { AsyncLocalStorage } from 'node:async_hooks'
import net from 'node:net'
import { isNodeServer } from '../target.ts'
import type { NodeServer } from '../types.ts'
import { passOn, portOf } from './listen-arguments.ts'

type Listen = (this: net.Server, ...args: unknown[]) => net.Server

const listen = net.Server.prototype.listen as Listen
const loads: AsyncLocalStorage<ListenCapture> = new AsyncLocalStorage()
const tracked: Set<ListenCapture> = new Set()
/** The load of a thread or process that runs nothing else. */
let alone: ListenCapture | undefined

/** The load that what runs now belongs to. */
function current(): ListenCapture | undefined {
  return loads.getStore() ?? alone
}

/**
 * Catches the `listen()` of an app that starts itself, and puts it on a socket of ours. Only what the load itself starts, before or
 * after an `await`, is caught: it is told by its asynchronous context, so other servers of the process stay as they are. In a thread or process
 * of its own, all that is started is.
 *
 * A server that asks for a fixed port is caught at once. One that asks for port 0 may just as well be a helper, such as a mock
 * of another API: it gets a port of its own, and is remembered in `helper`.
 */
export class ListenCapture {
  /** The server that was put on the socket. */
  caught: NodeServer | undefined
  /** The port that it had asked for. */
  askedPort = 0
  /** The first server that asked for port 0. */
  helper: NodeServer | undefined
  readonly #put: (server: NodeServer) => void
  readonly #isAlone: boolean
  readonly #others: Set<net.Server> = new Set()
  /** Those of them that do not listen yet, as they look up the name of their host. */
  readonly #opening: Set<net.Server> = new Set()
  #state: 'loading' | 'loaded' | 'ended' = 'loading'
  #onStarted: (server: NodeServer) => void = () => {}
  #onCaught: () => void = () => {}

  /** `put` puts a server on the socket. `isAlone`: what this thread or process starts is started by this load. */
  constructor(put: (server: NodeServer) => void, isAlone: boolean) {
    this.#put = put
    this.#isAlone = isAlone
    // oxlint-disable-next-line typescript/no-this-alias -- it is kept, not renamed
    if (isAlone) alone = this
  }

  /** Runs `load`. What it starts to listen is caught until `loaded()` or `end()` is called. */
  run<T>(load: () => T): T {
    net.Server.prototype.listen = capturingListen as typeof net.Server.prototype.listen
    if (tracked.size === 0) process.on('exit', tellWhoExits)
    tracked.add(this)
    // To follow its context would take longer than all else that is ours.
    return this.#isAlone ? load() : loads.run(this, load)
  }

  /** Resolves to the server that the load starts: the one that is caught, or one on a port of its own choice. */
  async started(): Promise<NodeServer> {
    return this.caught ?? this.helper ?? new Promise((resolve) => (this.#onStarted = resolve))
  }

  /** Resolves when a server was put on the socket. */
  async whenCaught(): Promise<void> {
    if (this.caught === undefined) await new Promise<void>((resolve) => (this.#onCaught = resolve))
  }

  /** The load is over: from now on nothing is caught. */
  loaded(): void {
    this.#state = 'loaded'
    tracked.delete(this)
    if (tracked.size > 0) return
    process.off('exit', tellWhoExits)
    // Following contexts costs every promise of the process a little.
    loads.disable()
  }

  /**
   * Closes what the load started besides the app. After a load that was given up it stays on guard: what is still on
   * its way to `listen()` does not listen any more.
   */
  end(): void {
    this.#state = 'ended'
    for (const server of this.#others) {
      if (!server.listening && !this.#opening.has(server)) continue
      server.close()
      if ('closeAllConnections' in server) (server as NodeServer & CutsAll).closeAllConnections()
    }
    this.#others.clear()
  }

  /** What a `listen()` inside the load does. */
  listen(server: net.Server, args: unknown[]): net.Server {
    if (this.#state === 'ended') return server
    if (this.#state === 'loaded') return listen.apply(server, args)
    const port = portOf(args)
    if (!isNodeServer(server) || port === undefined || port === 0 || this.caught !== undefined) {
      this.#others.add(server)
      this.#opening.add(server)
      server.once('listening', () => this.#opening.delete(server))
      if (isNodeServer(server) && port === 0) {
        this.helper ??= server
        this.#onStarted(server)
      }
      return listen.apply(server, args)
    }
    this.caught = server
    this.askedPort = port
    passOn(server, args)
    this.#put(server)
    this.#onCaught()
    this.#onStarted(server)
    return server
  }
}

interface CutsAll {
  closeAllConnections(): void
}

const capturingListen: Listen = function (...args) {
  const load = current()
  return load === undefined ? listen.apply(this, args) : load.listen(this, args)
}

/** A target that ends the process while it loads ends the tests too: without a word, and perhaps as if all had passed. */
function tellWhoExits(code: number): void {
  if (current() === undefined) return
  process.exitCode ||= 1
  console.warn(
    `portzero: The target called process.exit(${code}) while it was loaded, and ended the process that serves it. ` +
      'Export the app from a module that ends no process.',
  )
}
