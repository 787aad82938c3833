import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { env as own } from 'node:process'
import { settlesWithin } from '../deadline.ts'
import { Descendants, isNobody, send } from '../processes/descendants.ts'
import { MARKER, guard, spare, watchMark } from '../processes/watchdog.ts'
import type { Exit } from '../types.ts'

/** What a command has started, and has been told to end with it, gets to end by itself, in ms. */
const ENDING = 1_000

/** When it is asked to end, it gets so long, in ms, before it is killed. */
const GRACE = 5_000

/** What was killed has to be gone after so many ms. */
const DEATH = 5_000

/**
 * The user's command: it has this process's own terminal, standard streams, and process group, so that all is as if it were run by
 * itself. It ends with this process, by a mark in its environment (on Linux), but what it leaves behind at its own end is its affair.
 */
export class Foreground {
  /** Resolves when it has ended. */
  readonly ended: Promise<Exit>
  readonly #child: ChildProcess
  readonly #descendants: Descendants
  readonly #mark: string

  private constructor(child: ChildProcess, pid: number, mark: string) {
    this.#child = child
    this.#descendants = new Descendants(pid, mark)
    this.#mark = mark
    // A signal that could not be sent: how it ends says more.
    child.on('error', () => {})
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }))
    })
  }

  /** Rejects with the error of Node if it cannot be started. */
  static async spawn(
    [file = '', ...args]: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<Foreground> {
    const mark = randomUUID()
    const hasWatchdog = process.platform !== 'win32'
    if (hasWatchdog) {
      guard()
      watchMark(mark)
    }
    const child = spawn(file, args, {
      env: { ...env, [MARKER]: `${own[MARKER] ?? ''} ${mark}`.trim() },
      stdio: 'inherit',
    })
    if (child.pid === undefined) {
      const [cause] = (await once(child, 'error')) as [Error]
      throw cause
    }
    return new Foreground(child, child.pid, mark)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** To be called when it has ended by itself: what it has started may live on. */
  release(): void {
    spare(this.#mark)
  }

  /** Asks it and what it has started to end, and ends by force what does not. Resolves when nothing is left. */
  async end(): Promise<void> {
    const deadline = performance.now() + GRACE
    const { group, others } = this.#descendants.find()
    const all = [...group, ...others]
    if (all.length === 0) this.signal('SIGTERM')
    for (const pid of all) send(pid, 'SIGTERM')
    await settlesWithin(this.ended, GRACE)
    await this.#descendants.look(deadline, isNobody)
    await this.kill()
  }

  /** Sees to it that what it has started ends, when it was told to end and has. */
  async endRest(): Promise<void> {
    const left = await this.#descendants.look(performance.now() + ENDING, isNobody)
    if (!isNobody(left)) await this.end()
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    const deadline = performance.now() + DEATH
    await this.#descendants.look(deadline, (left) => {
      for (const pid of [...left.group, ...left.others]) send(pid, 'SIGKILL')
      return isNobody(left)
    })
    await settlesWithin(this.ended, deadline - performance.now())
  }
}
