import { readFileSync, readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { kill, platform } from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'

/** They are looked for after so many ms, and then ever more seldom. */
const LOOK = { first: 2, atMost: 50 }

/** A process, as the system shows it. */
export interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  /** When it started: its pid may have been another's before. */
  readonly start: string
}

/** Who lives, as numbers that `process.kill` takes: what is negative is a group. */
export interface Left {
  readonly group: readonly number[]
  /** Outside of the group. */
  readonly others: readonly number[]
}

/**
 * A child process, which leads a group and a session of its own, and all that descends from it.
 *
 * On Linux that includes what has left the group: it is known by the mark in its environment, or by a parent that was there
 * when it was last looked for. Elsewhere it is the group alone.
 */
export class Descendants {
  /** Undefined when the group is gone: the number may be another's by now. */
  #group: number | undefined
  readonly #mark: string
  /** When the leader started: who started before does not descend from it, and is not looked at any further. */
  readonly #since: number
  readonly #seen = new Map<number, string>()

  /** `mark` stands in the environment of each. */
  constructor(leader: number, mark: string) {
    this.#group = leader
    this.#mark = mark
    this.#since = Number(processOf(leader)?.start ?? 0)
  }

  /** Those that live. What has ended, and only waits for its parent to take notice, does not count. */
  find(): Left {
    const processes = list()
    if (processes === undefined) {
      return {
        group: this.#group !== undefined && this.hasGroup() ? [-this.#group] : [],
        others: [],
      }
    }
    const later = processes.filter(({ start }) => Number(start) >= this.#since)
    const found = later.filter((one) => this.#isOne(one))
    // What one of them has started is one of them too, whatever it made of its environment.
    for (const { pid } of found) {
      found.push(...later.filter((one) => one.parent === pid && !found.includes(one)))
    }
    for (const { pid, start } of found) this.#seen.set(pid, start)
    const isInGroup = ({ group }: Process): boolean => group === this.#group
    return {
      group: found.filter((one) => isInGroup(one)).map(({ pid }) => pid),
      others: found.filter((one) => !isInGroup(one)).map(({ pid }) => pid),
    }
  }

  /** Looks who is left, until `isOver` says that it is enough or the time is up. There is no event for what is not our own child. */
  async look(deadline: number, isOver: (left: Left) => boolean): Promise<Left> {
    for (let pause = LOOK.first; ; pause = Math.min(pause * 2, LOOK.atMost)) {
      const left = this.find()
      const remaining = deadline - performance.now()
      if (isOver(left) || remaining <= 0) return left
      await delay(Math.min(pause, remaining))
    }
  }

  /** False once the group is empty, and then for ever. */
  hasGroup(): boolean {
    return this.signalGroup(0)
  }

  /** Sends a signal, 0 to only ask, to all of the group. Returns whether there was anybody. */
  signalGroup(signal: NodeJS.Signals | 0): boolean {
    if (this.#group === undefined) return false
    if (send(-this.#group, signal)) return true
    this.#group = undefined
    return false
  }

  #isOne({ pid, group, session, start }: Process): boolean {
    return (
      group === this.#group ||
      session === this.#group ||
      this.#seen.get(pid) === start ||
      read(`/proc/${pid}/environ`).includes(this.#mark)
    )
  }
}

export function isNobody({ group, others }: Left): boolean {
  return group.length + others.length === 0
}

/** Sends a signal, 0 to only ask. Returns whether there was anybody to send it to. */
export function send(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return kill(target, signal)
  } catch (error) {
    // There is somebody, of another user. On macOS that is also said of what has ended.
    return (error as NodeJS.ErrnoException).code === 'EPERM' && platform !== 'darwin'
  }
}

/** All processes that live, or undefined where the system does not show them as files. */
function list(): Process[] | undefined {
  if (platform !== 'linux') return undefined
  try {
    const processes = readdirSync('/proc').flatMap((name) => processOf(Number(name)) ?? [])
    return processes.length === 0 ? undefined : processes
  } catch {
    return undefined
  }
}

/** A process that lives; also undefined where the system does not show them as files. */
export function processOf(pid: number): Process | undefined {
  if (!Number.isInteger(pid)) return undefined
  const stat = read(`/proc/${pid}/stat`)
  // The name in brackets may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state = '', parent, group, session] = fields
  // Its first thread has ended; while others are about to, they still hold its descriptors.
  const threads = Number(fields[17])
  if (state === '' || ('ZX'.includes(state) && threads <= 1)) return undefined
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    start: fields[19] ?? '',
  }
}

/** Empty for what has ended meanwhile, and for what is not ours to read. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
