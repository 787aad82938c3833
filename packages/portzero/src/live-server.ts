import type { Dispatcher } from 'undici'
import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { inWords } from './in-words.ts'
import type { Life } from './life.ts'
import { checkCloseOptions, checkIdleOptions, checkRestartOptions } from './options.ts'
import type { Settings } from './options.ts'
import type {
  CloseOptions,
  CloseReport,
  IdleOptions,
  InFlight,
  LiveServer,
  RestartOptions,
} from './types.ts'

/** How long `idle()` waits by default, in ms. */
const IDLE_TIMEOUT = 5_000

/** The one implementation of {@link LiveServer}: what stays the same over all lives of its app. */
export class Live implements LiveServer {
  readonly host: string
  readonly port: number
  readonly url: string
  readonly ca: string | undefined
  readonly #grace: number
  readonly #rebuild: () => Promise<Life>
  #life: Life
  #test: string | undefined
  #restarting: Promise<CloseReport> | undefined
  #closing: Promise<CloseReport> | undefined

  /** `rebuild` begins another life on the same port. */
  constructor(life: Life, { host, grace }: Settings, rebuild: () => Promise<Life>) {
    this.host = host
    this.port = life.port
    this.url = life.url
    this.ca = life.ca
    this.#grace = grace
    this.#life = life
    this.#rebuild = rebuild
  }

  get dispatcher(): Dispatcher {
    return this.#life.client.dispatcher
  }

  // Bound, so that it can be taken out of the handle: `const { fetch } = server`.
  readonly fetch: LiveServer['fetch'] = (path, init) => this.#life.client.fetch(path, init)

  inFlight(): InFlight[] {
    return this.#life.connections.inFlight()
  }

  async idle(options: IdleOptions = {}): Promise<void> {
    checkIdleOptions(options)
    const { timeout = IDLE_TIMEOUT } = options
    if (await settlesWithin(this.whenIdle(), timeout)) return
    const busy = this.inFlight().filter(({ kind }) => kind === 'request')
    throw new PortzeroError(
      'NOT_IDLE',
      `The server at ${this.url} was not idle within ${timeout} ms: ${busy.map(inWords).join('; ')}. ` +
        'Wait in the test for what it starts, or give it longer.',
    )
  }

  /** Resolves when nothing is in flight, however long that takes. */
  whenIdle(): Promise<void> {
    return this.#life.connections.idle()
  }

  dropConnections(): void {
    this.#life.connections.cut()
  }

  /** Says which test is running, for what is asked from now on. */
  set test(title: string | undefined) {
    this.#test = title
    this.#life.connections.test = title
  }

  async restart(options: RestartOptions = {}): Promise<CloseReport> {
    checkRestartOptions(options)
    if (this.#closing !== undefined) throw closed(this.url)
    const before = this.#restarting?.catch(() => {})
    const restarting = (async () => {
      await before
      return this.#restart(options.app ?? 'keep', options.grace ?? this.#grace)
    })()
    this.#restarting = restarting
    return restarting
  }

  close(options: CloseOptions = {}): Promise<CloseReport> {
    checkCloseOptions(options)
    const grace = options.grace ?? this.#grace
    return (this.#closing ??= this.#restarting
      ? this.#restarting.catch(() => {}).then(() => this.#life.end(grace))
      : this.#life.end(grace))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #restart(app: 'keep' | 'rebuild', grace: number): Promise<CloseReport> {
    const life = this.#life
    const report = await (app === 'keep' ? life.pause(grace) : life.end(grace))
    try {
      if (app === 'keep') await life.resume()
      else this.#life = await this.#rebuild()
      this.test = this.#test
      return report
    } catch (error) {
      // What is left of it is closed, once.
      this.#closing = app === 'keep' ? life.end(grace) : Promise.resolve(report)
      await this.#closing.catch(() => {})
      throw error
    }
  }
}

function closed(url: string): PortzeroError {
  return new PortzeroError(
    'SERVER_CLOSED',
    `The server at ${url} is closed or closing, and cannot be restarted. Start another one with serve().`,
  )
}
