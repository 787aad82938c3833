import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { platform } from 'node:process'
import { processOf, send } from '../processes/descendants.ts'

/** One process among all that ever have its number. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in words that are compared and mean nothing else; empty where the system does not tell. */
  readonly start: string
}

/** How long `ps` may take, in ms. */
const PS_TIMEOUT = 5_000

/** Says which process has this number now; undefined if none has that lives. One that only waits for its parent to take notice is gone. */
export function identify(pid: number): ProcessIdentity | undefined {
  if (platform === 'linux') {
    const process = processOf(pid)
    return process && { pid, start: `${boot()} ${process.start}` }
  }
  if (!send(pid, 0)) return undefined
  return platform === 'win32' ? { pid, start: '' } : byPs(pid)
}

/** Whether this very process lives, and not another one that was given its number. */
export function isAlive({ pid, start }: ProcessIdentity): boolean {
  return identify(pid)?.start === start
}

/** Whether it seems to live, at little cost: elsewhere than on Linux another one may have its number by now. */
export function seemsAlive(one: ProcessIdentity): boolean {
  return platform === 'linux' ? isAlive(one) : send(one.pid, 0)
}

let bootId: string | undefined

// The times of starts are counted from it, and a temporary folder may outlive it.
function boot(): string {
  if (bootId !== undefined) return bootId
  try {
    bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    bootId = 'boot'
  }
  return bootId
}

function byPs(pid: number): ProcessIdentity | undefined {
  try {
    const told = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'latin1',
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: PS_TIMEOUT,
    })
    const [state = '', ...start] = told.trim().split(/\s+/)
    return state === '' || state.startsWith('Z') ? undefined : { pid, start: start.join(' ') }
  } catch {
    return undefined
  }
}
