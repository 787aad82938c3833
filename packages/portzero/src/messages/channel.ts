import type { Settings } from '../options.ts'
import type { Blocker, CloseReport, Exit, InFlight, RestartOptions } from '../types.ts'

/** What an owner tells the thread or process that runs its app, first of all. */
export interface StartOrder {
  readonly type: 'start'
  /** URL of the module. */
  readonly location: string
  readonly settings: Omit<Settings, 'ready' | 'observer'>
  /** The socket that it has inherited. Without one it binds the port of the settings itself. */
  readonly fd?: number | undefined
}

/** What an owner tells the thread or process that runs its app. */
export type Order =
  | StartOrder
  | {
      readonly type: 'end' | 'pause'
      readonly id: number
      readonly grace: number
      /** When the grace began, in ms since the epoch: one that was blocked reads it late. */
      readonly since: number
      readonly ports: number[]
    }
  | { readonly type: 'resume' | 'idle'; readonly id: number }
  | { readonly type: 'hear'; readonly id: number; readonly test?: string }
  | { readonly type: 'cut' | 'exit' }

/** What one of many that use a held server may tell its holder besides. */
export type HeldOrder =
  | {
      readonly type: 'restart'
      readonly id: number
      readonly options: RestartOptions
      /** Nothing is done to a server that lives: another one may have brought it back. */
      readonly onlyDead: boolean
    }
  /** The titles of all tests that run where this comes from. */
  | { readonly type: 'tests'; readonly id: number; readonly titles: readonly string[] }

/** What the thread or process tells its owner. */
export type Report =
  | {
      readonly type: 'started'
      readonly port: number
      readonly url: string
      readonly http2: boolean
      readonly ca: string | undefined
      readonly held?: HeldFacts | undefined
    }
  | { readonly type: 'failed'; readonly error: WireError }
  | { readonly type: 'done'; readonly id: number; readonly result?: CloseReport | undefined }
  | { readonly type: 'refused'; readonly id: number; readonly error: WireError }
  /** What is in flight: the first `kept` as they were told last (none, if left out), and behind them these. */
  | { readonly type: 'inFlight'; readonly kept?: number; readonly inFlight: readonly InFlight[] }
  /** While closing: nothing is in flight any more, and close hooks begin, `hook` first. */
  | { readonly type: 'drained'; readonly cut: readonly Blocker[]; readonly hook: string }

/** What is in flight once that is told, where `before` was. */
export function inFlightAfter<One>(
  before: readonly One[],
  { kept = 0 }: Pick<Extract<Report, { type: 'inFlight' }>, 'kept'>,
  news: readonly One[],
): readonly One[] {
  return [...before.slice(0, kept), ...news]
}

/** What is told besides of a server that a holder holds. */
export interface HeldFacts extends Whereabouts {
  /** Where others reach it. */
  readonly publicUrl: string
  readonly host: string
  readonly grace: number
  /** Whether what is in flight is told; else each user knows of its own requests alone, and waits for them before it asks for the end. */
  readonly isGoverned: boolean
  /** If it has ended by itself. */
  readonly death: HeldDeath | undefined
}

/** How a held server has ended by itself. */
export interface HeldDeath {
  readonly error: WireError
  readonly exit: Exit
}

/** Where an app runs. */
export interface Whereabouts {
  readonly pid: number | undefined
  readonly threadId: number | undefined
}

/** What a holder tells all that use its server, unasked. */
export type News =
  | { readonly type: 'printed'; readonly line: string }
  | ({ readonly type: 'died' } & HeldDeath)
  | ({ readonly type: 'restarted' } & Whereabouts)
  | { readonly type: 'closing' }

/** An error as it is sent: classes of our own do not survive the way. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly code?: string | undefined
  readonly report?: CloseReport | undefined
  readonly cause?: WireError | undefined
}

/** One end of a line on which messages arrive in order, or not at all once the other end is gone. */
export interface Channel<Sent, Received> {
  send(message: Sent): void
  listen(receive: (message: Received) => void): void
}
