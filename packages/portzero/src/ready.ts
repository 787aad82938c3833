import { setTimeout as delay } from 'node:timers/promises'
import { PortzeroError, messageOf } from './errors.ts'
import type { LiveServer, ReadyCheck } from './types.ts'

type Probed = Pick<LiveServer, 'url' | 'fetch'>

/** What a server prints, as far as it is known. */
interface Printed {
  readonly lines: readonly string[]
  onLine(listener: (line: string) => void): () => void
}

/** How long to wait before a path that is not ready is asked again, in ms. */
const AGAIN = 20

/** Decides whether a server that listens is ready. */
export class Readiness {
  readonly #check: string | RegExp | ReadyCheck
  readonly #printed: Printed | undefined
  #last = 'it has not answered yet'

  /** A pattern is looked for in what is `printed`. */
  constructor(check: string | RegExp | ReadyCheck, printed?: Printed) {
    this.#check = check
    this.#printed = printed
  }

  /** Resolves when the server is ready, or `signal` aborts. Throws `NOT_READY` if a check function throws. */
  async wait(server: Probed, signal: AbortSignal): Promise<void> {
    if (typeof this.#check === 'string') return this.#ask(server, this.#check, signal)
    if (this.#check instanceof RegExp) return this.#look(this.#check, signal)
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
      typeof this.#check === 'function'
        ? 'the check is still running'
        : `${this.#check}: ${this.#last}`
    return new PortzeroError(
      'NOT_READY',
      `The server listens, but was not ready within ${ms} ms (${what}). Mend what 'ready' asks for, or raise 'startTimeout'.`,
    )
  }

  async #look(pattern: RegExp, signal: AbortSignal): Promise<void> {
    this.#last = 'no line of its output matches'
    if (this.#printed === undefined) throw printsNothing()
    // Without what a pattern that is global or sticky remembers.
    const matches = (line: string): boolean => line.search(pattern) !== -1
    if (this.#printed.lines.some(matches)) return
    await new Promise<void>((resolve) => {
      const stop = this.#printed?.onLine((line) => {
        if (matches(line)) resolve()
      })
      signal.addEventListener('abort', () => {
        stop?.()
        resolve()
      })
    })
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

function printsNothing(): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    "The option 'ready' can be a pattern only for a server with an output of its own: a command, an ASGI app, or a module with isolation: 'thread' or 'process'. Give a path or a function.",
  )
}
