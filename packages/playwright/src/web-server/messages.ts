import { join } from 'node:path'
import type { PortableServer } from 'portzero/apart'

/** A server of the configuration, as the programs are told of it. */
export interface ServerSpec extends PortableServer {
  /** Names it in its log. */
  readonly name: string
}

/** What the program of an entry is told, in {@link VARIABLE}. */
export interface Told {
  /** Which of the servers is its own. */
  readonly name: string
  /** Where the programs of one run meet. The first of them makes it. */
  readonly directory: string
  /** All servers of the configuration. */
  readonly servers: readonly ServerSpec[]
}

/** What the names of such directories begin with. */
export const PREFIX = 'portzero-web-'

/** The variable that carries {@link Told} as JSON. */
export const VARIABLE = 'PORTZERO_WEB_SERVER'

/** The variable that leads tests to the log: {@link Told.directory}. */
export const DIRECTORY = 'PORTZERO_WEB_SERVERS'

/** What is heard of a server, in this order: lines; `ready` or `failed`; lines and `died`; `closing`, if that takes its time; `ended`. */
export type News =
  | { readonly type: 'line'; readonly line: string }
  | { readonly type: 'ready'; readonly url: string }
  /** It, or another one, could not be started: none of them stays. */
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'died'; readonly message: string }
  | { readonly type: 'closing'; readonly message: string }
  | { readonly type: 'ended'; readonly message?: string | undefined }

/** What is asked of the program that holds the servers. */
export type Question =
  /** Tells the news of a server. It ends when this side of the connection does. */
  | { readonly type: 'follow'; readonly name: string }
  /** What was printed since then, in ms of `Date.now()`. */
  | { readonly type: 'log'; readonly since: number }

export type Answer = News | { readonly type: 'log'; readonly lines: readonly LogLine[] }

export interface LogLine {
  readonly name: string
  readonly line: string
}

/** What the program leaves of its directory where a server has not ended as it should. */
export function failureIn(directory: string): string {
  return join(directory, 'failure')
}

/** Where the program that holds the servers listens. */
export function socketIn(directory: string): string {
  return process.platform === 'win32'
    ? `\\\\.\\pipe\\${directory.replaceAll(/[\\:/]/g, '-')}`
    : join(directory, 'socket')
}
