import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import type { Connected } from './background/connected-server.ts'
import type { HeldSpec } from './background/held-spec.ts'
import { connectTo, hold } from './background/hold.ts'
import { Registry } from './background/registry.ts'
import type { HeldScope } from './background/registry.ts'
import { PortzeroError } from './errors.ts'
import type {
  CloseOptions,
  CloseReport,
  Exit,
  IdleOptions,
  InFlight,
  LiveServer,
  RestartOptions,
} from './types.ts'

/** So often a server that ends, or that another worker starts, just when it is looked for, is looked for again. */
const TRIES = 50

/** At most how long to wait before that, in ms: not all workers at the same time. */
const AGAIN = 20

const CLOSED_BEFORE: CloseReport = { outcome: 'graceful', durationMs: 0, blockers: [] }

/** What is held for all workers of a slot, or of the run. */
export type ScopedSpec = Omit<HeldSpec, 'id' | 'name'> & {
  readonly fixture: string
  readonly scope: HeldScope
}

/** A server that outlives the worker, and is shared with others. This is one worker's handle; whoever has it lets go of it. */
export class ScopedServer implements LiveServer {
  readonly #spec: ScopedSpec
  #current: Connected
  #replacing: Promise<void> | undefined

  private constructor(spec: ScopedSpec, current: Connected) {
    this.#spec = spec
    this.#current = current
  }

  /** The one that runs, or is being started; else it is started. Rejects with the error of a start that fails, whoever has begun it. */
  static async acquire(spec: ScopedSpec): Promise<ScopedServer> {
    return new ScopedServer(spec, await findOrStart(spec))
  }

  get url(): string {
    return this.#current.url
  }

  get host(): string {
    return this.#current.host
  }

  get port(): number {
    return this.#current.port
  }

  get ca(): string | undefined {
    return this.#current.ca
  }

  get pid(): number | undefined {
    return this.#current.pid
  }

  get threadId(): number | undefined {
    return this.#current.threadId
  }

  get output(): readonly string[] {
    return this.#current.output
  }

  get exited(): Promise<Exit> {
    return this.#current.exited
  }

  get dispatcher(): Dispatcher {
    return this.#current.dispatcher
  }

  /** Its error, once it has ended without being told to. */
  get died(): PortzeroError | undefined {
    return this.#current.died
  }

  // Bound, so that it can be taken out of the handle: `const { fetch } = server`.
  readonly fetch: LiveServer['fetch'] = (path, init) => this.#current.fetch(path, init)

  inFlight(): InFlight[] {
    return this.#current.inFlight()
  }

  idle(options?: IdleOptions): Promise<void> {
    return this.#current.idle(options)
  }

  ended(): Promise<void> {
    return this.#current.ended()
  }

  dropConnections(): void {
    this.#current.dropConnections()
  }

  restart(options?: RestartOptions): Promise<CloseReport> {
    return this.#current.restart(options)
  }

  async tests(titles: readonly string[]): Promise<void> {
    // One that is gone needs to know nothing.
    await this.#current.tests(titles).catch(() => {})
  }

  /** Closes it for all that share it. */
  async close(options?: CloseOptions): Promise<CloseReport> {
    try {
      return await this.#current.stop(options)
    } catch (error) {
      if (error instanceof PortzeroError && error.code === 'SERVER_CLOSED') return CLOSED_BEFORE
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Has it started anew, on the same port if that is free, where somebody has closed it. Resolves to whether that was so. */
  async renew(): Promise<boolean> {
    if (!this.#current.isClosed) return false
    await this.#replace()
    return true
  }

  /** Begins another life of one that has died, unless another worker has. */
  async revive(): Promise<void> {
    await (this.#current.isLost ? this.#replace() : this.#current.revive())
  }

  #replace(): Promise<void> {
    this.#replacing ??= (async () => {
      const { port } = this.#current
      await this.#current.disconnect()
      this.#current = await findOrStart({ ...this.#spec, formerPort: port })
    })().finally(() => (this.#replacing = undefined))
    return this.#replacing
  }

  /** The server goes on. */
  letGo(): Promise<void> {
    return this.#current.disconnect()
  }
}

/** Under which name it is held: another one for each run, slot, target, option and working directory. */
export function nameOf({ fixture, target, options, scope }: ScopedSpec): string {
  const facts = [fixture, target, options, scope, process.cwd()]
  const text = JSON.stringify(facts, (_key, value: unknown) =>
    value instanceof RegExp ? String(value) : value,
  )
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return `${fixture.replaceAll('$', '_').slice(0, 32)}-${scope.kind}-${hash}`
}

async function findOrStart(spec: ScopedSpec): Promise<Connected> {
  const registry = new Registry()
  const name = nameOf(spec)
  for (let tries = 1; ; tries += 1) {
    const record = registry.list().find((one) => one.name === name)
    try {
      const server = await (record === undefined
        ? hold({ ...spec, name })
        : connectTo(registry, record))
      if (server !== undefined) return server
    } catch (error) {
      const isTaken = error instanceof PortzeroError && error.code === 'NAME_TAKEN'
      if (!isTaken || tries === TRIES) throw error
    }
    if (tries === TRIES) throw restless(spec)
    await delay(Math.random() * AGAIN)
  }
}

function restless({ fixture, title }: ScopedSpec): PortzeroError {
  return new PortzeroError(
    'START_FAILED',
    `The server '${fixture}' (${title}) ended ${TRIES} times just when it was to be used. Does another worker close it all the time?`,
  )
}
