import diagnostics from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { Kind } from 'fixture-apps/closing'
import type { Client } from 'fixture-clients'
import type { Blocker, LiveServer } from 'portzero'
import { answers } from './support.ts'

/** How often is looked whether the process stands still, in ms. */
const TICK = 5
/** What a closing may take beyond the grace, in ms. */
export const A_LITTLE = 100

/** Sees what a server leaves open, and what nobody handles, independently of what it says itself. */
export class Watch {
  readonly #sockets: Map<Socket, number | undefined> = new Map()
  readonly #errors: unknown[] = []
  readonly #opened: Set<{ destroy(): unknown }> = new Set()

  #turnedAt = performance.now()
  #stood = 0
  readonly #clock = setInterval(() => {
    const now = performance.now()
    this.#stood = Math.max(this.#stood, now - this.#turnedAt - TICK)
    this.#turnedAt = now
  }, TICK)

  constructor() {
    diagnostics.subscribe('net.server.socket', this.#onSocket)
    process.on('uncaughtExceptionMonitor', this.#onError)
    process.on('unhandledRejection', this.#onError)
  }

  /** What clients open is to be added, and is destroyed in the end. */
  get opened(): Set<{ destroy(): unknown }> {
    return this.#opened
  }

  /**
   * True if this process stood still for longer than closing may take beyond its grace, as it does on a machine that is shared
   * with others. What depends on time proves nothing then; says so on stderr.
   */
  stoodStill(): boolean {
    const stood = Math.max(this.#stood, performance.now() - this.#turnedAt - TICK)
    if (stood > A_LITTLE) console.warn(`stood still for ${stood.toFixed(0)} ms: times not checked`)
    return stood > A_LITTLE
  }

  /** The connections of servers that are not closed, by the port at the client's end. */
  left(): (number | undefined)[] {
    return [...this.#sockets].filter(([socket]) => !socket.destroyed).map(([, port]) => port)
  }

  /** What was thrown or rejected, and not caught. */
  unhandled(): unknown[] {
    return this.#errors
  }

  async refuses({ port }: LiveServer): Promise<boolean> {
    return !(await answers(port))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#clock)
    diagnostics.unsubscribe('net.server.socket', this.#onSocket)
    process.off('uncaughtExceptionMonitor', this.#onError)
    process.off('unhandledRejection', this.#onError)
    for (const each of this.#opened) each.destroy()
  }

  readonly #onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    this.#sockets.set(socket, socket.remotePort)
  }

  readonly #onError = (error: unknown): void => void this.#errors.push(error)
}

/** True if a client can be sent to that kind of server. */
export function suits({ needs }: Client, { abilities }: Kind): boolean {
  return needs.every((ability) => abilities.includes(ability))
}

/** What is in the way of a closing. Not its query, in which a library tells its connections apart. */
export function inWords({ kind, method, path }: Pick<Blocker, 'kind' | 'method' | 'path'>): string {
  return `${kind} ${method} ${path.replace(/\?.*/, '')}`
}
