import { publicUrlOf } from './advertise.ts'
import { beginnerElsewhere } from './elsewhere.ts'
import type { Begin } from './elsewhere.ts'
import { urlOf } from './life.ts'
import { Live } from './live-server.ts'
import { Meeting } from './meeting.ts'
import { resolveOptions } from './options.ts'
import type { Observer, Settings } from './options.ts'
import { reservePort } from './processes/port-reservation.ts'
import type { Reservation } from './processes/port-reservation.ts'
import type { Start } from './start.ts'
import { identifyTarget } from './target.ts'
import type { KnownTarget } from './target.ts'
import type { CloseReport, ServeOptions, Target } from './types.ts'

/** One of several servers that start at the same time. */
export interface Member {
  readonly name: string
  readonly target: Target
  readonly options: Omit<ServeOptions, 'isolation'>
  /** Working directory of a module; other targets have their own. */
  readonly cwd: string
}

/** What is known of all of them before any has started: the URL of each, by its name. */
type Urls = ReadonlyMap<string, string>

interface Means {
  /** Aborts the start. */
  readonly signal: AbortSignal
  /** What each is told of the others: variables, which its own `env` overrides. */
  readonly told: (urls: Urls) => Readonly<Record<string, string>>
  readonly onLine: (name: string, line: string) => void
}

/** A member whose address is known. */
interface Prepared {
  readonly name: string
  readonly cwd: string
  readonly known: KnownTarget
  readonly settings: Settings
  readonly reservation: Reservation | undefined
}

/** Servers that were started together. Whoever started them closes them. */
export class Together {
  /** In the order of the members. */
  readonly servers: readonly { readonly name: string; readonly server: Live }[]
  readonly #reservations: readonly (Reservation | undefined)[]

  private constructor(servers: Together['servers'], prepared: readonly Prepared[]) {
    this.servers = servers
    this.#reservations = prepared.map(({ reservation }) => reservation)
  }

  /**
   * Starts them at the same time, outside of this process: modules in processes of their own. Each address is known to all before any of
   * their programs runs, and a request that one sends to another early waits. If one cannot be started, none is.
   * Throws what `serve()` throws; with the name of the server, where there are several.
   */
  static async start(members: readonly Member[], means: Means): Promise<Together> {
    const prepared = await prepare(members)
    const failed = new AbortController()
    const signal = AbortSignal.any([means.signal, failed.signal])
    const starts = begin(prepared, { ...means, signal }).map((start) =>
      start.catch((error: unknown) => {
        failed.abort(error)
        throw error
      }),
    )
    const settled = await Promise.allSettled(starts)
    const servers = settled.flatMap((one, index) =>
      one.status === 'fulfilled'
        ? [{ name: (prepared[index] as Prepared).name, server: one.value }]
        : [],
    )
    const together = new Together(servers, prepared)
    if (servers.length === prepared.length) return together
    await together.close()
    throw signal.reason
  }

  /**
   * Closes all, each within its own grace, or within another that is given: the last one first, as for what it still answers it may ask those
   * before it. Resolves to how each of them went, or the error.
   */
  async close(options: { readonly grace?: number } = {}): Promise<(CloseReport | Error)[]> {
    const reports: (CloseReport | Error)[] = []
    for (const { server } of this.servers.toReversed()) {
      reports.unshift(await server.close(options).catch((error: unknown) => error as Error))
    }
    release(this.#reservations)
    return reports
  }
}

/** Checks them, and reserves the port of each. */
async function prepare(members: readonly Member[]): Promise<Prepared[]> {
  const checked = members.map(({ name, target, options, cwd }) => {
    const known = identifyTarget(target)
    const isolation = known.kind === 'module' ? 'process' : undefined
    return { name, cwd, known, settings: resolveOptions({ ...options, isolation }) }
  })
  // Not of the kernel's: should a program have to be started a second time, nobody has taken its port meanwhile.
  const reserved = await Promise.allSettled(
    checked.map(async ({ settings: { host, port } }) =>
      port === 0 ? reservePort(host) : undefined,
    ),
  )
  const reservations = reserved.map((one) => (one.status === 'fulfilled' ? one.value : undefined))
  const failure = reserved.find((one) => one.status === 'rejected')
  if (failure !== undefined) {
    release(reservations)
    throw failure.reason
  }
  return checked.map(({ settings, ...member }, index) => {
    const reservation = reservations[index]
    const port = reservation?.port ?? settings.port
    return { ...member, reservation, settings: { ...settings, port } }
  })
}

function begin(prepared: readonly Prepared[], { signal, told, onLine }: Means): Promise<Live>[] {
  const meeting = new Meeting(prepared.length, signal)
  const urls = new Map(prepared.map(({ name, settings }) => [name, knownUrl(settings)]))
  return prepared.map(async ({ name, cwd, known, settings: own }) => {
    const observer: Observer = { line: (line) => onLine(name, line) }
    const settings = { ...own, env: { ...told(urls), ...own.env }, observer }
    const start: Start = { signal, cwd, meet: meeting.place() }
    try {
      const once: Begin = beginnerElsewhere(known, settings)
      const life = await once(settings.port, start)
      return new Live(life, settings, (givenUp) => once(life.port, { cwd, signal: givenUp }))
    } catch (error) {
      const isTold = prepared.length === 1 || signal.aborted || !(error instanceof Error)
      if (!isTold) error.message = `${name}: ${error.message}`
      throw error
    }
  })
}

/** One that brings its own certificate has another. */
function knownUrl({ https, host, port, advertise }: Settings): string {
  return publicUrlOf(urlOf(https, host, port), advertise)
}

function release(reservations: readonly (Reservation | undefined)[]): void {
  for (const reservation of reservations) reservation?.release()
}
