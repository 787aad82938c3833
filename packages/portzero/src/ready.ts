import { setTimeout as delay } from 'node:timers/promises'
import { PortzeroError, messageOf } from './errors.ts'
import type { LiveServer, ReadyCheck } from './types.ts'

type Probed = Pick<LiveServer, 'url' | 'fetch'>

/** How long to wait before a path that is not ready is asked again, in ms. */
const AGAIN = 20

/** Decides whether a server that listens is ready. */
export class Readiness {
  readonly #check: string | ReadyCheck
  #last = 'it has not answered yet'

  constructor(check: string | ReadyCheck) {
    this.#check = check
  }

  /** Resolves when the server is ready, or `signal` aborts. Throws `NOT_READY` if a check function throws. */
  async wait(server: Probed, signal: AbortSignal): Promise<void> {
    if (typeof this.#check === 'string') return this.#ask(server, this.#check, signal)
    try {
      await this.#check(server)
    } catch (cause) {
      throw new PortzeroError(
        'NOT_READY',
        `The check given as 'ready' failed: ${messageOf(cause)}`,
        {
          cause,
        },
      )
    }
  }

  /** The error of a server that did not become ready in time. */
  overdue(ms: number): PortzeroError {
    const what =
      typeof this.#check === 'string'
        ? `${this.#check}: ${this.#last}`
        : 'the check is still running'
    return new PortzeroError(
      'NOT_READY',
      `The server listens, but was not ready within ${ms} ms (${what}). Mend what 'ready' asks for, or raise 'startTimeout'.`,
    )
  }

  async #ask(server: Probed, path: string, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const response = await server.fetch(path, { redirect: 'manual', signal })
        await response.body?.cancel()
        if (response.status < 400) return
        this.#last = `it answers ${response.status}`
      } catch (error) {
        this.#last = messageOf(error)
      }
      await delay(AGAIN)
    }
  }
}
