import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

export interface Process {
  readonly pid: number
  /** When it started: with the pid it names the process for ever. */
  readonly start: string
  readonly command: string
}

interface Entry extends Process {
  readonly parent: number
  readonly environment: string
}

/** All that runs, as `/proc` shows it; a zombie has ended. */
function list(): Entry[] {
  return readdirSync('/proc').flatMap((name) => {
    const stat = /^\d+$/.test(name) ? read(name, 'stat') : ''
    const [state = '', parent, ...more] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === '' || state === 'Z' || state === 'X') return []
    return {
      pid: Number(name),
      parent: Number(parent),
      start: more[17] ?? '',
      command: read(name, 'cmdline').replaceAll('\0', ' ').trim(),
      environment: read(name, 'environ'),
    }
  })
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}

/** What has one of the texts in its environment or in its command line. */
export function carriersOf(texts: readonly string[]): Process[] {
  const carries = ({ environment, command }: Entry): boolean =>
    texts.some((text) => `${environment}${command}`.includes(text))
  return list().filter(carries).map(brief)
}

/** What was started by one of the processes, and runs that program. */
export function childrenOf(parents: readonly Process[], program: string): Process[] {
  const pids = new Set(parents.map(({ pid }) => pid))
  const isOne = ({ parent, command }: Entry): boolean =>
    pids.has(parent) && command.includes(program)
  return list().filter(isOne).map(brief)
}

function brief({ pid, start, command }: Entry): Process {
  return { pid, start, command }
}

export function isAlive({ pid, start }: Process): boolean {
  return list().some((one) => one.pid === pid && one.start === start)
}

/** Those of some sockets, by their inodes, that take connections. */
export function listening(inodes: readonly number[]): number[] {
  const open = new Set(
    ['tcp', 'tcp6'].flatMap((file) =>
      readFileSync(`/proc/net/${file}`, 'latin1')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , , state]) => state === '0A')
        .map((fields) => Number(fields[9])),
    ),
  )
  return inodes.filter((inode) => open.has(inode))
}

/** Ends a process of the test's own, if it still runs. */
export function end(process_: Process): void {
  if (isAlive(process_)) process.kill(process_.pid, 'SIGKILL')
}

/** Resolves to whether it `holds` within `limit` ms. There is no event for strangers. */
export async function within(limit: number, holds: () => boolean): Promise<boolean> {
  const deadline = performance.now() + limit
  while (!holds()) {
    if (performance.now() > deadline) return false
    await delay(20)
  }
  return true
}
