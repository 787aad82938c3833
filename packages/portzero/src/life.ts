import { performance } from 'node:perf_hooks'
import type { Client, OwnClient } from './client.ts'
import { PortzeroError } from './errors.ts'
import type { Blocker, CloseReport, Exit, InFlight } from './types.ts'

/**
 * One life of an app on its port, from the start to the end: a server that is rebuilt has several, one after another.
 * Each runtime has its own kind; the handle knows no more of them than this.
 */
export interface Life {
  readonly port: number
  /** At the address that it is bound to. */
  readonly url: string
  readonly http2: boolean
  /** Where others reach it. */
  readonly publicUrl: string
  /** What signed its certificate, if that was made here. */
  readonly ca: string | undefined
  readonly client: Client
  readonly pid: number | undefined
  readonly threadId: number | undefined
  /** Whether all that is in flight can be seen, and is let finish when it is asked to end; another program ends at once. */
  readonly isGoverned: boolean
  /** What it printed of late, where that is not this process. */
  readonly output: readonly string[]
  /** Resolves when it ends without being told to. */
  readonly exited: Promise<Exit>
  /** The error of all that is asked of it once it has ended without being told to. */
  readonly died: PortzeroError | undefined
  inFlight(): InFlight[]
  /** Resolves when nothing is in flight. */
  idle(): Promise<void>
  /** Resolves when the next of what is in flight has ended, or earlier. */
  ended(): Promise<void>
  /**
   * Says which test is running, where a runner tells, once what was sent before has arrived. Resolves when it is known there, or it is
   * known here that it has ended: it may have, and not been heard of yet.
   */
  hear(test: string | undefined): Promise<void>
  /** Resets all connections, where that `isGoverned`. */
  cut(): void
  /**
   * Ends it for good. `client`, in another process, waits for what it has sent.
   * Rejects with `CLOSE_FAILED`, after all is closed, if a close hook threw.
   */
  end(grace: number, client?: OwnClient): Promise<CloseReport>
  /** Cuts off what it ends with a longer grace than anybody waits for by now, and does without its answer where that does not come. */
  hasten(): void
  /** Takes it off its port. The app stays. */
  pause(grace: number): Promise<CloseReport>
  /** Puts it on its port again. Throws `PORT_IN_USE` if somebody took it. */
  resume(): Promise<void>
}

export function reportOf(
  blockers: readonly Blocker[],
  startedAt: number,
  outcome: CloseReport['outcome'] = blockers.length === 0 ? 'graceful' : 'forced',
): CloseReport {
  return { outcome, durationMs: performance.now() - startedAt, blockers }
}

export function asBlocker({ bytesSent: _bytesSent, ...blocker }: InFlight): Blocker {
  return blocker
}

/** The error of whoever wants to reset connections that nothing is known of. */
export function cannotDrop(url: string): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    `dropConnections() needs a server that portzero can look into; what serves at ${url} is a program of another kind. ` +
      "Use restart({ app: 'rebuild' }), which ends its connections with it.",
  )
}

/** The URL under which a bound address is reached. */
export function urlOf(isEncrypted: boolean, host: string, port: number): string {
  const address = reachable(host)
  const name = address.includes(':') ? `[${address}]` : address
  return `${isEncrypted ? 'https' : 'http'}://${name}:${port}`
}

/** The address under which a bound one is reached: one that stands for all is reached on loopback. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
