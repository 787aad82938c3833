import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Http2SecureServer, Http2Server } from 'node:http2'
import type { Dispatcher } from 'undici'
import type { AsgiTarget } from './processes/asgi.ts'

export type { AsgiTarget } from './processes/asgi.ts'

/** An app with a `fetch` method: Hono, h3, Elysia, a Workers-style default export. */
export interface FetchApp {
  fetch(request: Request, ...rest: never[]): Response | PromiseLike<Response>
}

/**
 * A Node request listener of two or more parameters: an Express app, Connect, `koa.callback()`.
 * One written on the spot needs the types of its parameters.
 */
export interface NodeListener {
  (request: IncomingMessage, response: ServerResponse, ...rest: never[]): Answered
  // Overloaded, so that TypeScript takes the parameter of a function written on the spot from `Factory`, and from nothing else.
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what makes it an overload
  <_>(request: IncomingMessage, response: ServerResponse, ...rest: never[]): Answered
}

/**
 * What listeners return; it is ignored. Not just anything, as a function without parameters would pass for a listener
 * then, whatever it builds.
 */
type Answered = Ended | PromiseLike<Ended>
// oxlint-disable-next-line typescript/no-invalid-void-type -- most return nothing
type Ended = ServerResponse | boolean | void

/** A server of Node's own, listening or not. */
export type NodeServer = HttpServer | HttpsServer | Http2Server | Http2SecureServer

/** An app that is told to listen: Fastify, Koa, a Nest application, Express. */
export interface ListeningApp {
  listen(...args: never[]): unknown
}

/** What can be served as it is. */
export type App = FetchApp | NodeListener | NodeServer | ListeningApp

/**
 * A module namespace, of which `default`, then `app`, `server`, `handler` is served;
 * or any other object, where the factory started a server itself. A `Response` is not one, nor a promise.
 */
export type ModuleNamespace = object & { readonly headers?: never; readonly then?: never }

/** What a factory may return. Nothing, if it started a server itself. */
// oxlint-disable-next-line typescript/no-invalid-void-type -- a factory that starts a server itself returns nothing
export type FactoryResult = App | ModuleNamespace | void

/**
 * Builds the app once its address is known. Called once for each server.
 * A `listen(3000)` that it runs, before or after an `await`, is put on the server's own socket.
 */
export type Factory<Context extends FactoryContext = FactoryContext> = (
  context: Context,
) => FactoryResult | PromiseLike<FactoryResult>

/** What `serve()` accepts: an app, a factory, or a module by `URL` or path (relative to the working directory). */
export type Target<Context extends FactoryContext = FactoryContext> =
  | App
  | Factory<Context>
  | URL
  | string
  | CommandTarget
  | AsgiTarget

/** Any program that serves HTTP. */
export interface CommandTarget {
  /**
   * A line for the shell, or a program and its arguments. `{fd}`, `{port}`, `{host}` and `{url}` are filled in, here and in `env`. A Node
   * program needs none of them: its own `listen(3000)` is put on the server's socket.
   */
  readonly command: string | readonly string[]
  /** Working directory. @default that of this process */
  readonly cwd?: string | undefined
  /** Environment variables that are added. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** What asks the program to end. @default 'SIGTERM' */
  readonly stopSignal?: NodeJS.Signals | undefined
}

/** What a factory is told about the server it builds for. */
export interface FactoryContext {
  /** Base URL, without a slash at the end. The socket is bound already: a request sent now waits for the app. */
  readonly url: string
  /** Port number, as in `url`. */
  readonly port: number
  /** Stable number of the parallel slot, from 0: for a database name, a directory, a range of ids. */
  readonly slot: number
  /** Names this worker among all workers of the run, those that were replaced included. */
  readonly workerId: string
  /** Aborts when closing begins, or when the start is given up. */
  readonly signal: AbortSignal
  /**
   * Adds work to do when the server is closed: last added, first run, after the last answer.
   * Also run when the start fails. Bounded by the `grace` of the closing.
   */
  onClose(hook: () => unknown): void
}

/** Options of {@link serve}. All are optional; an unknown name is refused with `UNKNOWN_OPTION`. */
export interface ServeOptions {
  /**
   * Where the app runs. `'inline'`: in this process, which is the fastest. `'thread'`: in a worker thread, `'process'`: in a child process;
   * for an app that blocks, crashes, or needs a loader of its own. Both take a module by `URL` or path, as anything else cannot be
   * handed over. A command, and an ASGI app, have a process of their own in any case.
   * @default 'inline'
   */
  isolation?: 'inline' | 'thread' | 'process' | undefined
  /** Environment variables that are added for a thread, a process, a command or an ASGI app. */
  env?: Readonly<Record<string, string>> | undefined
  /**
   * Address to bind. For `0.0.0.0` and `::` the URL names the loopback address, see `advertise`. For what is not loopback a warning
   * is given, once: other machines can use the app then.
   * @default '127.0.0.1'
   */
  host?: string | undefined
  /**
   * Where others reach the server, if that is not the address it is bound to: a host (`'host.docker.internal'`) or a URL without a path
   * (`'https://app.test'`). The port is filled in, unless it names one. `url`, `context.url`, `{url}` and the fixtures' `baseURL` have it,
   * and so has the certificate of `https`; `server.fetch` goes to the bound address, whichever of the two it is asked for.
   * @default what `host` says
   */
  advertise?: string | undefined
  /**
   * Port to bind, 0 to 65535. With 0 the operating system picks a free one, so that any number of servers run side by side.
   * @default 0
   */
  port?: number | undefined
  /**
   * Whether it speaks TLS. It does with a certificate that is made for it in memory, valid for `localhost`, `127.0.0.1`, `::1` and
   * `host`; `fetch`, `dispatcher` and the runners' fixtures trust it, other clients with `ca`. A server that brings a certificate of
   * its own keeps that.
   * @default false
   */
  https?: boolean | undefined
  /**
   * Whether it speaks HTTP/2: with `https` beside HTTP/1.1, as clients choose; without it in clear text, and nothing else.
   * For apps that have a `fetch` method, Node request listeners, Koa, and servers that speak HTTP/2 themselves; others, such as
   * Express, are refused with `INVALID_OPTION`.
   * @default false
   */
  http2?: boolean | undefined
  /**
   * What must hold before the server counts as started, besides listening: a path that must answer below 400
   * (asked again until it does), a function that is awaited, and fails the start if it throws; or a pattern that a line of its output
   * must match, for apps that have a thread or process of their own.
   */
  ready?: string | RegExp | ReadyCheck | undefined
  /**
   * Milliseconds that a start may take; then it fails with `START_TIMEOUT`.
   * @default 30_000
   */
  startTimeout?: number | undefined
  /**
   * Milliseconds that work in flight gets when the server is closed, before it is cut off.
   * @default 1_000
   */
  grace?: number | undefined
  /**
   * The parallel slot given to the factory. Runner packages set it.
   * @default 0
   */
  slot?: number | undefined
  /**
   * The worker's name given to the factory. Runner packages set it.
   * @default the process id
   */
  workerId?: string | undefined
}

/** Decides whether a server that listens is ready: awaited once; what it throws fails the start with `NOT_READY`. */
export type ReadyCheck = (server: Pick<LiveServer, 'url' | 'fetch'>) => unknown

/**
 * A server that listens. Whoever called `serve()` closes it: with `close()`, or by leaving the block of an `await using`.
 */
export interface LiveServer extends AsyncDisposable {
  /** Base URL, such as `http://127.0.0.1:49213`, without a slash at the end. With the option `advertise`, as that says. */
  readonly url: string
  /** The address it is bound to, as given in the options. */
  readonly host: string
  /** The port it is bound to. */
  readonly port: number
  /**
   * With `https: true`, the certificate of the authority that signed the server's, as PEM: what another client is to trust. One for all
   * servers that this process starts, and the same after a restart. Undefined where the app has brought a certificate of its own.
   */
  readonly ca: string | undefined
  /**
   * `fetch` on this server, over a pool of connections that is closed with it. A path is taken from `url`.
   * Throws a `PortzeroError` with code `SERVER_CLOSED` once closing has begun.
   */
  fetch(path: string | URL | Request, init?: RequestInit): Promise<Response>
  /** The process that the app has to itself; undefined where it has none. Another one after `restart({ app: 'rebuild' })`. */
  readonly pid: number | undefined
  /** The worker thread that the app has to itself, as Node numbers them; undefined where it has none. */
  readonly threadId: number | undefined
  /** What the app's own process or thread has printed of late: up to 200 lines, oldest first. Empty for `'inline'`. */
  readonly output: readonly string[]
  /** Resolves when the app's process or thread ends without being told to. Never for `'inline'`. */
  readonly exited: Promise<Exit>
  /** The pool that `fetch` uses, for other clients built on undici. The same over all restarts; closed with the server. */
  readonly dispatcher: Dispatcher
  /** What is not answered to its end at this moment, oldest first. */
  inFlight(): readonly InFlight[]
  /**
   * Resolves when nothing is in flight, and nothing of `fetch` on its way. Rejects with `NOT_IDLE`, naming what is, after `timeout` ms (default 5,000).
   * Event streams that were asked for with GET, and upgraded connections, which end only when somebody ends them, do not count.
   */
  idle(options?: IdleOptions): Promise<void>
  /**
   * Resets all connections at once, as a network failure would. The server goes on listening.
   * Throws `INVALID_OPTION` for a command that is no Node program, of whose connections nothing is known.
   */
  dropConnections(): void
  /**
   * Goes down and comes up again on the same port: closes as `close()` does, and listens anew. With `app: 'keep'` (the default)
   * the app and its state stay, and no close hook runs; with `'rebuild'` its hooks run, and the target is loaded and built anew.
   * Rejects with `PORT_IN_USE` if somebody took the port meanwhile; the server is closed then. Rejects with `SERVER_DIED` if an app that
   * is to be kept has died, or is blocked: it is killed after the grace then.
   */
  restart(options?: RestartOptions): Promise<CloseReport>
  /**
   * Stops accepting, lets requests in flight finish within `grace`, cuts off the rest, runs close hooks, and frees the port.
   * Takes no longer than `grace` plus a little. Call it as often as you like: all calls share the first closing.
   * Rejects with `CLOSE_FAILED`, after all is closed, if a close hook threw.
   */
  close(options?: CloseOptions): Promise<CloseReport>
}

/** Options of {@link start}: those of {@link serve} that another process can be told, and the name. */
export interface StartOptions extends Omit<
  ServeOptions,
  'isolation' | 'ready' | 'slot' | 'workerId'
> {
  /** By which others find it: letters, digits, `.`, `_` and `-`, at most 64, the first no sign. */
  name: string
  /**
   * Where a module runs: in a process of its own, or in a thread of the process that holds it.
   * @default 'process'
   */
  isolation?: 'thread' | 'process' | undefined
  /** A path that must answer below 400, or a pattern that a line of its output must match, before it counts as started. */
  ready?: string | RegExp | undefined
}

/**
 * A server that runs in the background, and outlives this process. What is had here is a connection to it, which does not keep this process
 * alive: let go of it with `disconnect()`, or by leaving the block of an `await using`; end the server, for everybody, with `stop()`.
 */
export interface ConnectedServer extends Omit<LiveServer, 'close'> {
  /** By which others find it. */
  readonly name: string
  /**
   * Ends the server for everybody, as `close()` of a server of one's own does. Resolves when nothing of it is left. Rejects with `CLOSE_FAILED`, after
   * all is closed, if a close hook threw; with `SERVER_CLOSED` if it has ended before. Call it as often as you like.
   */
  stop(options?: CloseOptions): Promise<CloseReport>
  /** Lets go of it: the server goes on, and this handle is of no more use. Idempotent. */
  disconnect(): Promise<void>
}

/** A server that runs in the background, as {@link list} tells of it. */
export interface ServerEntry {
  /** By which `connect()` finds it. */
  readonly name: string
  /** `died`: its own process has ended by itself. It can be restarted or stopped, and says why in its log. */
  readonly state: 'starting' | 'ready' | 'died'
  /** Undefined until it is ready. */
  readonly url: string | undefined
  /** The app's own process. */
  readonly pid: number | undefined
  /** The process that holds it. */
  readonly holderPid: number
  /** What is served, in words: a command, a module's URL. */
  readonly target: string
  /** The working directory of whoever has started it. */
  readonly cwd: string
  /** The file with all that it has printed. */
  readonly log: string
  readonly startedAt: Date
  /** Where a test runner has started it: whether a parallel slot or the whole run shares it. */
  readonly scope: 'slot' | 'run' | undefined
}

/** How a process or thread has ended. */
export interface Exit {
  /** The exit code; null if a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A request that is not answered to its end, or a connection that became something else. */
export interface InFlight {
  /** `request`: not answered to its end. `stream`: an event stream that was asked for with GET. `upgrade`: a WebSocket, a tunnel, or another upgrade. */
  readonly kind: 'request' | 'stream' | 'upgrade'
  readonly method: string
  /** Path with query. */
  readonly path: string
  /** Milliseconds since it began. */
  readonly ageMs: number
  /** Bytes of the answer that were handed over so far, headers included. */
  readonly bytesSent: number
  /** Title of the test that caused it, where a runner told. */
  readonly test?: string | undefined
}

/** Options of {@link LiveServer.idle}. */
export interface IdleOptions {
  /** Milliseconds to wait. */
  timeout?: number | undefined
}

/** Options of {@link LiveServer.restart}. */
export interface RestartOptions {
  app?: 'keep' | 'rebuild' | undefined
  /** Milliseconds for work in flight; instead of the server's own `grace`. */
  grace?: number | undefined
}

/** Options of {@link LiveServer.close}. */
export interface CloseOptions {
  /** Milliseconds for work in flight; instead of the server's own `grace`. */
  grace?: number | undefined
}

/** How a closing went. */
export interface CloseReport {
  /** `graceful`: all that was in flight was finished. `forced`: something was cut off, see `blockers`. `killed`: the process had to be killed. */
  readonly outcome: 'graceful' | 'forced' | 'killed'
  /** Milliseconds from the call of `close()` until all was closed. */
  readonly durationMs: number
  /** What was cut off. Empty when `graceful`. An answer of a program that is not Node's, which `fetch` has not read to its end, is not named. */
  readonly blockers: readonly Blocker[]
}

/** Something that was still busy when `grace` was over. */
export interface Blocker {
  /**
   * `request`: not answered, or not to its end. `stream`: an event stream whose client does not read. `upgrade`: a WebSocket that was
   * told to close, or another upgraded connection. `hook`: a close hook that did not end.
   */
  readonly kind: 'request' | 'stream' | 'upgrade' | 'hook'
  /** Method of the request; for a hook its name. */
  readonly method: string
  /** Path with query of the request; empty for a hook. */
  readonly path: string
  /** Milliseconds since it began. */
  readonly ageMs: number
  /** Title of the test that caused it, where a runner told. */
  readonly test?: string | undefined
}
