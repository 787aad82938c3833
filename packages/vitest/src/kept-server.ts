import { relative, sep } from 'node:path'
import { performance } from 'node:perf_hooks'
import { PortzeroError, serve } from 'portzero'
import type { AsgiTarget, LiveServer } from 'portzero'
import { acquire } from 'portzero/shared'
import type { Definition, Lease } from 'portzero/shared'
import { openToPages } from './page-proxy.ts'
import type { PageProxy } from './page-proxy.ts'
import { provide } from './provide.ts'
import type { TestProject, Vitest } from 'vitest/node'

const PLACE = { slot: 0, workerId: 'global' } as const

/** One server of a run, which is kept while the tests run again and again, and loaded anew when its sources change. */
export class KeptServer {
  /** Those that have joined. */
  readonly projects: Set<TestProject> = new Set()
  readonly #definition: Definition
  readonly #vitest: Vitest
  readonly #tell: (failure: unknown) => void
  #lease: Lease | undefined
  /** Answers in place of a server that could not be started, and keeps its port. */
  #standIn: LiveServer | undefined
  #pages: PageProxy | undefined
  /** Files that it has loaded. */
  #sources: Set<string> = new Set()
  readonly #changed: Set<string> = new Set()
  #hasDied = false
  #catchingUp: Promise<void> = Promise.resolve()
  #opening: Promise<void> | undefined

  /** `tell` takes what is to fail the next run of the tests. */
  constructor(definition: Definition, vitest: Vitest, tell: (failure: unknown) => void) {
    this.#definition = definition
    this.#vitest = vitest
    this.#tell = tell
  }

  /** True while it could not be started. */
  get isDown(): boolean {
    return this.#lease === undefined
  }

  /** Starts it for the first project, and tells each one its URL. In watch mode it is down if that fails; else rejects. */
  async join(project: TestProject): Promise<void> {
    this.projects.add(project)
    try {
      await (this.#opening ??= this.#begin())
      await this.#provide(project)
    } catch (error) {
      await this.#leave(project).catch(() => {})
      throw error
    }
  }

  /** The use that a project makes of it. Closed when the last one is released. */
  leaseOf(project: TestProject): Lease {
    const { server } = this
    return { server, release: () => this.#leave(project) }
  }

  get server(): LiveServer {
    const server = this.#lease?.server ?? this.#standIn
    if (server === undefined) {
      throw new PortzeroError('SERVER_CLOSED', 'The server of the tests is closed.')
    }
    return server
  }

  /** Whether a change in this file is a change of the app. */
  dependsOn(file: string): boolean {
    return this.#sources.has(file) || isPythonOf(this.#definition.target, file)
  }

  /** Takes note of a change, for {@link catchUp}. */
  note(file: string): void {
    this.#changed.add(file)
  }

  /** Loads it anew if something has changed, or it has died. Never rejects. */
  catchUp(): Promise<void> {
    const before = this.#catchingUp
    return (this.#catchingUp = this.#catchUpAfter(before))
  }

  async #catchUpAfter(before: Promise<void>): Promise<void> {
    await before
    while (this.projects.size > 0 && (this.#changed.size > 0 || this.#hasDied)) {
      const reason = this.#hasDied ? 'it had died' : `${this.#changes()} changed`
      this.#changed.clear()
      this.#hasDied = false
      await this.#reload(reason).catch(this.#tell)
    }
  }

  async #begin(): Promise<void> {
    try {
      await this.#open(this.#definition.options.port ?? 0)
    } catch (error) {
      if (!this.#vitest.config.watch) throw error
      await this.#standInFor(error, this.#definition.options.port ?? 0)
    }
  }

  async #reload(reason: string): Promise<void> {
    const startedAt = performance.now()
    const { url } = this.server
    const port = this.#definition.options.port || this.server.port
    try {
      await this.#close()
    } catch (error) {
      // Of a process that has ended by itself a run has told.
      if (!isCode(error, 'SERVER_DIED')) this.#tell(error)
    }
    try {
      await this.#open(port).catch((error: unknown) => {
        // Somebody took it meanwhile. Nobody but the tests knows it, and they are told the new one.
        if (!isCode(error, 'PORT_IN_USE') || this.#definition.options.port) throw error
        return this.#open(0)
      })
      const ms = (performance.now() - startedAt).toFixed(0)
      this.#say(
        `${this.#definition.name} ${this.server.url} was loaded anew in ${ms} ms: ${reason}.`,
      )
    } catch (error) {
      await this.#standInFor(error, port)
    }
    if (this.server.url !== url) {
      await this.#pages?.close()
      this.#pages = undefined
    }
    // What it speaks, and whom to trust, may be another as well.
    for (const project of this.projects) await this.#provide(project)
  }

  async #open(port: number): Promise<void> {
    const loaded = new Set<string>()
    const onLoad = (file: string): void => {
      loaded.add(file)
      // Until it has started, what it had loaded before counts too.
      this.#sources.add(file)
      this.#watch(file)
    }
    const definition = {
      ...this.#definition,
      options: { ...this.#definition.options, port },
    }
    const isWatched = this.#vitest.config.watch
    const lease = await acquire(definition, { ...PLACE, onLoad: isWatched ? onLoad : undefined })
    this.#lease = lease
    this.#sources = loaded
    void this.#follow(lease)
    if ('asgi' in Object(this.#definition.target)) this.#watch(cwdOf(this.#definition.target))
  }

  async #follow(lease: Lease): Promise<void> {
    await lease.server.exited
    if (this.#lease === lease) this.#hasDied = true
  }

  async #standInFor(error: unknown, port: number): Promise<void> {
    const text = `portzero: The server could not be started. ${String(error)}\n`
    this.#tell(error)
    this.#say(`${this.#definition.name} could not be started; the next edit starts it again.`)
    const { host, https } = this.#definition.options
    const app = { fetch: () => new Response(text, { status: 503 }) }
    try {
      this.#standIn = await serve(app, { host, https, port })
    } catch {
      // Somebody else has the port.
      this.#standIn = await serve(app, { host, https })
    }
  }

  async #provide(project: TestProject): Promise<void> {
    const { server } = this
    const { url } = project.config.browser.enabled
      ? (this.#pages ??= await openToPages(server.url))
      : server
    provide(project, this.#definition, server, url)
  }

  async #leave(project: TestProject): Promise<undefined> {
    this.projects.delete(project)
    if (this.projects.size > 0) return
    await this.#catchingUp
    await this.#pages?.close()
    await this.#close()
  }

  async #close(): Promise<void> {
    const [lease, standIn] = [this.#lease, this.#standIn]
    this.#lease = undefined
    this.#standIn = undefined
    await standIn?.close()
    await lease?.release()
  }

  /** Vite watches what is below its root. */
  #watch(path: string): void {
    const { watcher, config } = this.#vitest.vite
    if (relative(config.root, path).startsWith('..')) watcher.add(path)
  }

  #changes(): string {
    return [...this.#changed].map((file) => relative(this.#vitest.config.root, file)).join(', ')
  }

  #say(text: string): void {
    this.#vitest.logger.log(`portzero: ${text}`)
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof PortzeroError && error.code === code
}

function cwdOf(target: Definition['target']): string {
  return (target as AsgiTarget).cwd ?? process.cwd()
}

/** What a Python app has imported, nobody tells. */
function isPythonOf(target: Definition['target'], file: string): boolean {
  if (typeof target !== 'object' || !('asgi' in target) || !file.endsWith('.py')) return false
  const cwd = cwdOf(target)
  return file.startsWith(cwd + sep) && !/[/\\](?:site-packages|node_modules)[/\\]/.test(file)
}
