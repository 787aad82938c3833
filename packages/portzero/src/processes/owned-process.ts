import { spawn } from 'node:child_process'
import type { ChildProcess, SerializationType } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import { env, platform } from 'node:process'
import { settlesWithin } from '../deadline.ts'
import type { Exit } from '../types.ts'
import { Descendants, isNobody, send } from './descendants.ts'
import { Output } from './output.ts'
import { MARKER, guard, lease, leave, spare, watch, watchMark } from './watchdog.ts'

export interface ProcessSpec {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd?: string | undefined
  /** The whole environment of the child; the marker of its owner is added. */
  readonly env: NodeJS.ProcessEnv
  /** What it gets as descriptors 3, 4, …: a number is a descriptor of ours that it inherits; the words are Node's. */
  readonly descriptors?: readonly (number | 'pipe' | 'ipc')[]
  /** How messages are sent over `'ipc'`. */
  readonly serialization?: SerializationType
}

interface StopOptions {
  readonly signal: NodeJS.Signals
  readonly grace: number
  /** The child has been asked to end in another way. */
  readonly isAsked?: boolean
}

/** What was killed has to be gone after so many ms. */
const DEATH = 5_000

/**
 * A child process that never outlives this thread, nor does what it starts: it leads a group and a session of its own, which
 * a watchdog kills when this thread ends, in whatever way. Who spawns it stops it, also after it has exited by itself: it may
 * have left others behind. It keeps this thread alive while it runs, as every child process does.
 *
 * Untested on Windows: there are no groups and no watchdog there. Node ends the child with its owner, but not what the
 * child has started.
 */
export class OwnedProcess {
  readonly child: ChildProcess
  readonly pid: number
  /** What it wrote to stdout and stderr. */
  readonly output: Output = new Output()
  /** Resolves when the child itself has exited, and what it had written is read. Others may still hold its pipes. */
  readonly exited: Promise<Exit>
  readonly #ended: Promise<Exit>
  readonly #descendants: Descendants
  readonly #mark: string
  #exit: Exit | undefined
  #stopped: Promise<'graceful' | 'killed'> | undefined

  private constructor(child: ChildProcess, pid: number, mark: string) {
    this.child = child
    this.pid = pid
    this.#descendants = new Descendants(pid, mark)
    this.#mark = mark
    for (const stream of [child.stdout, child.stderr]) if (stream) this.output.add(stream)
    // A signal or a message that could not be sent: how the child ends says more.
    child.on('error', () => {})
    this.#ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal }
        if (!this.#descendants.hasGroup()) leave(pid)
        resolve(this.#exit)
      })
    })
    this.exited = this.#ended.then(async (exit) => {
      // What is asked to end with it may still write, and would break off if nobody read that.
      await (this.#stopped === undefined ? this.output.end() : this.output.read())
      return exit
    })
  }

  /** Rejects with the error of Node if it cannot be started, and if nothing could guarantee its end. */
  static async spawn(spec: ProcessSpec): Promise<OwnedProcess> {
    const isPosix = platform !== 'win32'
    if (isPosix) guard()
    const id = randomUUID()
    if (isPosix) watchMark(id)
    const child = spawn(spec.file, spec.args, {
      cwd: spec.cwd,
      detached: isPosix,
      // The marks of owners further up stay: they find it too.
      env: { ...spec.env, [MARKER]: [env[MARKER] ?? '', lease, id].join(' ').trim() },
      serialization: spec.serialization,
      stdio: ['ignore', 'pipe', 'pipe', ...(spec.descriptors ?? [])],
      windowsHide: true,
    })
    if (child.pid === undefined) {
      spare(id)
      const [cause] = (await once(child, 'error')) as [Error]
      throw cause
    }
    if (isPosix) watch(child.pid)
    return new OwnedProcess(child, child.pid, id)
  }

  /** How the child ended, once it has. */
  get exit(): Exit | undefined {
    return this.#exit
  }

  /** The child and all that descends from it, where the system shows that; else undefined. */
  pids(): number[] | undefined {
    const { group, others } = this.#descendants.find()
    const pids = [...group, ...others]
    return pids.every((pid) => pid > 0) ? pids : undefined
  }

  /**
   * Sends `signal` to the whole group, and then to what has left it, and gives them `grace` ms together. What is left is
   * killed. Resolves when nothing is left: to `'graceful'` if nothing had to be killed. Rejects if something cannot be
   * killed. Called again, it returns the same promise. A child that `isAsked` already is not signalled, nor is the rest before
   * it has ended: it may need that until then.
   */
  stop(options: StopOptions): Promise<'graceful' | 'killed'> {
    this.#stopped ??= this.#stop(options)
    return this.#stopped
  }

  async #stop(options: StopOptions): Promise<'graceful' | 'killed'> {
    const graceful = await (platform === 'win32'
      ? this.#endOnWindows(options.grace)
      : this.#ask(options))
    if (!graceful) await this.#kill()
    leave(this.pid)
    spare(this.#mark)
    await this.exited
    await this.output.end()
    return graceful ? 'graceful' : 'killed'
  }

  /** Resolves to whether all went by themselves in time. */
  async #ask({ signal, grace, isAsked = false }: StopOptions): Promise<boolean> {
    const deadline = performance.now() + grace
    // Seen now, they are known also when the parent that tells them is gone.
    const all = this.#descendants.find()
    if (signal === 'SIGKILL') return isNobody(all)
    if (!isAsked) this.#descendants.signalGroup(signal)
    if (!(await settlesWithin(this.#ended, grace))) return false
    if (isAsked) this.#descendants.signalGroup(signal)
    const { group, others } = await this.#descendants.look(
      deadline,
      (left) => left.group.length === 0,
    )
    if (group.length > 0) return false
    if (others.length === 0) return true
    // They are not signalled before: their parents may have wanted to end them in order. `setsid server` has no parent.
    for (const pid of others) send(pid, signal)
    return isNobody(await this.#descendants.look(deadline, isNobody))
  }

  async #kill(): Promise<void> {
    const deadline = performance.now() + DEATH
    const left = await this.#descendants.look(deadline, (found) => {
      if (found.group.length > 0) this.#descendants.signalGroup('SIGKILL')
      for (const pid of found.others) send(pid, 'SIGKILL')
      return isNobody(found)
    })
    if (isNobody(left) && (await settlesWithin(this.#ended, deadline - performance.now()))) return
    const pids = [...left.group, ...left.others].join(', ')
    throw new Error(
      `Cannot kill what process ${this.pid} has started; still there: ${pids || this.pid}.`,
    )
  }

  /** There are no signals to ask by: a child with a channel may have been asked over it. */
  async #endOnWindows(grace: number): Promise<boolean> {
    if (this.#exit !== undefined) return true
    if (this.child.connected && (await settlesWithin(this.#ended, grace))) return true
    const killer = spawn('taskkill', ['/pid', `${this.pid}`, '/T', '/F'], { stdio: 'ignore' })
    await once(killer, 'exit')
    return false
  }
}
