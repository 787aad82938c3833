import { spawnSync } from 'node:child_process'
import process from 'node:process'
import { isMainThread } from 'node:worker_threads'
import { END_SHARED } from '../files.ts'
import { withoutHandedOver } from '../processes/handed-over.ts'
import { identify } from './process-identity.ts'
import { Registry } from './registry.ts'
import type { HeldRecord } from './registry.ts'

/** With what {@link END_SHARED} exits if a close hook throws: Node has codes of its own for its own faults. */
export const HOOK_THREW = 70

let isHeeding = false

/**
 * Has this process, if it is the main process of a test runner, end the servers that its workers share before it exits. It exits with
 * code 1 then if a close hook throws, which is printed. If it is killed they end by themselves, and nobody hears how.
 */
export function heedShared(): void {
  // A thread exits before its process, which may have others.
  if (isHeeding || !isMainThread) return
  isHeeding = true
  process.once('exit', () => {
    if (endShared() === HOOK_THREW) process.exitCode ||= 1
  })
}

/** Servers that live as long as a process of this number, which is alive. */
export function sharedIn(registry: Registry, pid: number): HeldRecord[] {
  const its = registry.list().filter(({ scope }) => scope?.owner.pid === pid)
  // Another process may have had its number. Whether this is so, not every system tells at once.
  const start = its.length === 0 ? undefined : identify(pid)?.start
  return its.filter(({ scope }) => scope?.owner.start === start)
}

/** A process that exits can await nothing but a program. */
function endShared(): number | null {
  try {
    if (sharedIn(new Registry(), process.pid).length === 0) return null
    const args = [END_SHARED, String(process.pid)]
    return spawnSync(process.execPath, args, {
      env: withoutHandedOver(process.env),
      stdio: ['ignore', 'ignore', 'inherit'],
      windowsHide: true,
    }).status
  } catch {
    // They end without it.
    return null
  }
}
