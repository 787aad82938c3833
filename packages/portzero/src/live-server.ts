import { performance } from 'node:perf_hooks'
import { clearTimeout, setTimeout } from 'node:timers'
import type { Dispatcher } from 'undici'
import type { OwnClient } from './client.ts'
import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { idleWithin } from './idle.ts'
import { onItsPort } from './its-port.ts'
import { LastingDispatcher } from './lasting-dispatcher.ts'
import { cannotDrop, reportOf } from './life.ts'
import type { Life } from './life.ts'
import { checkCloseOptions, checkRestartOptions } from './options.ts'
import type { Settings } from './options.ts'
import { AFTERWARDS } from './shutdown.ts'
import { TURNS, turns } from './turns.ts'
import type {
  Blocker,
  CloseOptions,
  CloseReport,
  Exit,
  IdleOptions,
  InFlight,
  LiveServer,
  RestartOptions,
} from './types.ts'

/** How long the life that a restart has not ended may take to be ended by force, in ms. */
const FORCE = 1_000

/** The one implementation of {@link LiveServer}: what stays the same over all lives of its app. */
export class Live implements LiveServer {
  readonly host: string
  readonly port: number
  readonly url: string
  readonly ca: string | undefined
  readonly #grace: number
  readonly #rebuild: (givenUp: AbortSignal) => Promise<Life>
  #life: Life
  /** Made when somebody asks for it. */
  #dispatcher: LastingDispatcher | undefined
  /** How that life ends. */
  #ended: Promise<CloseReport> | undefined
  #test: string | undefined
  #restarting: Promise<CloseReport> | undefined
  #reviving: Promise<CloseReport> | undefined
  /** Aborts where a closing waits for the last restart no longer: it begins nothing more then, and gives up what it has begun. */
  #givenUp: AbortController | undefined
  #closing: Promise<CloseReport> | undefined

  /** `rebuild` begins another life on the same port. One in a process or thread is killed when its start is given up. */
  constructor(
    life: Life,
    { host, grace }: Settings,
    rebuild: (givenUp: AbortSignal) => Promise<Life>,
  ) {
    this.host = host
    this.port = life.port
    this.url = life.publicUrl
    this.ca = life.ca
    this.#grace = grace
    this.#life = life
    this.#rebuild = rebuild
  }

  /** At the address that it is bound to, also where another is advertised. */
  get boundUrl(): string {
    return this.#life.url
  }

  get pid(): number | undefined {
    return this.#life.pid
  }

  get threadId(): number | undefined {
    return this.#life.threadId
  }

  get output(): readonly string[] {
    return this.#life.output
  }

  get exited(): Promise<Exit> {
    return this.#life.exited
  }

  /** Its error, once its process or thread has ended without being told to. */
  get died(): PortzeroError | undefined {
    return this.#life.died
  }

  get dispatcher(): Dispatcher {
    return (this.#dispatcher ??= new LastingDispatcher(this.#life.client.dispatcher)).given
  }

  // Bound, so that it can be taken out of the handle: `const { fetch } = server`.
  readonly fetch: LiveServer['fetch'] = (path, init) => this.#life.client.fetch(path, init)

  inFlight(): InFlight[] {
    return this.#life.inFlight()
  }

  /** What was asked with `fetch`, arrived or not. */
  unanswered(): InFlight[] {
    return this.#life.client.inFlight()
  }

  async idle(options: IdleOptions = {}): Promise<void> {
    await idleWithin(this, this.#life.client, options)
  }

  /** Resolves when nothing is in flight, however long that takes: nor on its way there from our own client. */
  async whenIdle(): Promise<void> {
    await this.#life.client.idle()
    await this.#life.idle()
  }

  /** Resolves when the next of what is in flight has ended, or earlier. */
  ended(): Promise<void> {
    return this.#life.ended()
  }

  dropConnections(): void {
    if (!this.isGoverned) throw cannotDrop(this.url)
    this.#life.cut()
  }

  /** Says which tests are running. Where it is several, nothing tells which of them asks. Resolves when that is known, also to one elsewhere. */
  async tests(titles: readonly string[]): Promise<void> {
    this.#test = titles.length === 1 ? titles[0] : undefined
    await this.#life.hear(this.#test)
  }

  async restart(options: RestartOptions = {}): Promise<CloseReport> {
    checkRestartOptions(options)
    if (this.#closing !== undefined) throw closed(this.url)
    const grace = options.grace ?? this.#grace
    const before = this.#restarting
    const [restarting, begin] = planned<CloseReport>()
    this.#restarting = restarting
    begin(this.#restartAfter(before, options.app ?? 'keep', grace))
    const over = (): void => {
      if (this.#restarting === restarting) this.#restarting = undefined
    }
    restarting.then(over, over)
    return restarting
  }

  /** Begins another life of one that has died: one, for all that ask meanwhile. */
  async revive(): Promise<void> {
    this.#reviving ??= this.restart({ app: 'rebuild' }).finally(() => (this.#reviving = undefined))
    await this.#reviving
  }

  close(options?: CloseOptions): Promise<CloseReport> {
    return this.closeFor(undefined, options)
  }

  /** The same for a client in another process, which waits for what it has sent. */
  closeFor(client: OwnClient | undefined, options?: CloseOptions): Promise<CloseReport> {
    if (options !== undefined) checkCloseOptions(options)
    if (this.#closing !== undefined) return this.#closing
    const grace = options?.grace ?? this.#grace
    const [closing, begin] = planned<CloseReport>()
    this.#closing = closing
    const restarting = this.#restarting?.catch(() => undefined)
    begin(restarting ? this.#endRestarting(restarting, grace, client) : this.#end(grace, client))
    return closing
  }

  /** True once closing has begun, also by a restart that failed. */
  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** Whether it runs in a process or thread of its own. */
  get #isApart(): boolean {
    return this.pid !== undefined || this.threadId !== undefined
  }

  /** Whether it speaks HTTP/2, also of its own accord. */
  get http2(): boolean {
    return this.#life.http2
  }

  /** Whether what is in flight can be seen; else `inFlight()` has what was asked with `fetch` alone. */
  get isGoverned(): boolean {
    return this.#life.isGoverned
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Ends the life that it has, once. */
  #end(grace: number, client?: OwnClient): Promise<CloseReport> {
    if (this.#ended !== undefined) return this.#ended
    const [ended, begin] = planned<CloseReport>()
    this.#ended = ended
    begin(this.#life.end(grace, client))
    return ended
  }

  /** The same in the middle of a restart, which is given no longer than this. */
  async #endRestarting(
    restarting: Promise<CloseReport | undefined>,
    grace: number,
    client: OwnClient | undefined,
  ): Promise<CloseReport> {
    const startedAt = performance.now()
    const left = (): number => Math.max(0, grace - (performance.now() - startedAt))
    let isCut = false
    const cut = setTimeout(() => {
      isCut = true
      this.#life.cut()
    }, grace)
    const isOver = await settlesWithin(restarting, grace + AFTERWARDS)
    clearTimeout(cut)
    if (!isOver) {
      this.#givenUp?.abort(closed(this.url))
      const ageMs = performance.now() - startedAt
      // The life that it had ends now, if it has not. Whatever it is about to begin ends at once.
      this.#life.hasten()
      const ended = this.#end(0, client).catch(() => undefined)
      void restarting.then(() => this.#end(0, client)).catch(() => {})
      const gone = this.#isApart ? Promise.all([ended, restarting]) : ended
      const last = (await settlesWithin(gone, FORCE)) ? await ended : undefined
      const blockers: Blocker[] = [
        ...(last?.blockers ?? []),
        { kind: 'hook', method: 'restart', path: '', ageMs },
      ]
      return reportOf(blockers, startedAt, killedOf(last))
    }
    const before = isCut ? await restarting : undefined
    const last = await this.#end(left(), client)
    const lost = before?.blockers ?? []
    return reportOf([...lost, ...last.blockers], startedAt, killedOf(last))
  }

  #live(life: Life): void {
    this.#life = life
    this.#ended = undefined
  }

  async #restartAfter(
    before: Promise<unknown> | undefined,
    app: 'keep' | 'rebuild',
    grace: number,
  ): Promise<CloseReport> {
    if (before !== undefined) {
      await before.catch(() => {})
      // By a restart that has failed, or by now by its user.
      if (this.#closing !== undefined) throw closed(this.url)
    }
    return this.#restart(app, grace)
  }

  async #restart(app: 'keep' | 'rebuild', grace: number): Promise<CloseReport> {
    const life = this.#life
    const { signal } = (this.#givenUp = new AbortController())
    const stopped = app === 'keep' ? life.pause(grace) : this.#end(grace)
    // Where a close hook throws it has ended all the same.
    if (app === 'rebuild') stopped.catch(() => void (this.#closing ??= stopped))
    const report = await stopped
    // A client of this process hears by then that its connections have ended, and asks on another.
    await turns(TURNS)
    signal.throwIfAborted()
    try {
      if (app === 'keep') await onItsPort(() => life.resume(), signal)
      else this.#live(await onItsPort(() => this.#rebuild(signal), signal))
      this.#dispatcher?.follow(this.#life.client.dispatcher)
      await this.#life.hear(this.#test)
      return report
    } catch (error) {
      // What is left of it is closed, once.
      const ended = this.#end(grace)
      this.#closing ??= ended
      await ended.catch(() => {})
      throw error
    }
  }
}

/** A promise that is known before its work begins: an app that is told of the work may ask for the same. */
function planned<T>(): [promise: Promise<T>, begin: (work: Promise<T>) => void] {
  let begin: (work: Promise<T>) => void = () => {}
  const promise = new Promise<T>((resolve) => (begin = resolve))
  return [promise, begin]
}

/** What a report that takes up another one says of its outcome. */
function killedOf(report: CloseReport | undefined): 'killed' | undefined {
  return report?.outcome === 'killed' ? 'killed' : undefined
}

function closed(url: string): PortzeroError {
  return new PortzeroError(
    'SERVER_CLOSED',
    `The server at ${url} is closed or closing, and cannot be restarted. Start another one with serve().`,
  )
}
