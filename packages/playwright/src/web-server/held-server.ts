import { inspect } from 'node:util'
import { PortzeroError } from 'portzero'
import type { LiveServer } from 'portzero'
import { deathOf, forcedClose, fromPortable, serveObserved, tellingClose } from 'portzero/apart'
import type { LogLine, News, ServerSpec } from './messages.ts'

/** So many lines are kept for the reports of tests. */
const LINES = 10_000

/** One server of the configuration: it is started at once, and whoever made it ends it. */
export class HeldServer {
  readonly name: string
  /** Resolves when it is ready or has failed, of which the followers hear. */
  readonly settled: Promise<void>
  /** What else than lines has happened. */
  readonly #news: News[] = []
  readonly #log: (LogLine & { readonly at: number })[] = []
  readonly #followers = new Set<(news: News) => void>()
  #server: LiveServer | undefined
  #hasDied = false
  #hasFailed = false
  #ended: Promise<void> | undefined

  constructor(spec: ServerSpec) {
    this.name = spec.name
    this.settled = this.#start(spec)
  }

  /** Calls `hear` with all that has happened, and with what happens from now on. */
  follow(hear: (news: News) => void): void {
    for (const { line } of this.#log) hear({ type: 'line', line })
    for (const news of this.#news) hear(news)
    this.#followers.add(hear)
  }

  /** What it has printed since a time, and when. */
  since(time: number): readonly (LogLine & { readonly at: number })[] {
    return this.#log.filter(({ at }) => at >= time)
  }

  /** True if it has not ended as it should: a close hook threw. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Closes it, if it has been started by now. Never rejects. */
  end(): Promise<void> {
    return (this.#ended ??= this.#end())
  }

  async #start(spec: ServerSpec): Promise<void> {
    const [target, options] = fromPortable(spec)
    const observer = { line: (line: string) => this.#print(line) }
    try {
      const server = await serveObserved(target, { ...options, workerId: 'run' }, observer)
      this.#server = server
      this.#tell({ type: 'ready', url: server.url })
      void this.#watch(server)
    } catch (error) {
      this.#tell({ type: 'failed', message: `${this.name} did not start.\n${textOf(error)}` })
    }
  }

  async #watch(server: LiveServer): Promise<void> {
    const { message } = await deathOf(server)
    this.#hasDied = true
    this.#tell({ type: 'died', message })
  }

  async #end(): Promise<void> {
    const server = this.#server
    const message = server && (await this.#close(server))
    this.#tell({ type: 'ended', message: this.#hasDied ? undefined : message })
  }

  /** Resolves to what is to be said of how it closed: nothing of one that did as it should. */
  async #close(server: LiveServer): Promise<string | undefined> {
    const tell = (message: string): void => this.#tell({ type: 'closing', message })
    try {
      const report = await tellingClose(this.name, server, server.close(), tell)
      return report.outcome === 'graceful' ? undefined : forcedClose(this.name, server, report)
    } catch (error) {
      this.#hasFailed = true
      return `The run fails, though its tests may have passed: ${this.name} did not end as it should.\n${textOf(error)}`
    }
  }

  #print(line: string): void {
    this.#log.push({ name: this.name, line, at: Date.now() })
    if (this.#log.length > LINES) this.#log.shift()
    for (const hear of this.#followers) hear({ type: 'line', line })
  }

  #tell(news: News): void {
    this.#news.push(news)
    for (const hear of this.#followers) hear(news)
  }
}

/** The message of an error, and what is behind it. */
function textOf(error: unknown): string {
  if (!(error instanceof PortzeroError)) return inspect(error)
  const { name, message, cause } = error
  return `${name}: ${message}${cause === undefined ? '' : `\n[cause]: ${inspect(cause)}`}`
}
