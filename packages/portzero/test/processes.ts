import { readFileSync, readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Where the program is that has this one fault. */
export function misbehaving(name: string): string {
  return new URL(`../../../fixtures/misbehaving/${name}`, import.meta.url).pathname
}

/** The pids of all processes that have `text` in their environment or command line. None where there is no `/proc`. */
export function carriersOf(text: string): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && `${read(pid, 'environ')}${read(pid, 'cmdline')}`.includes(text))
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}

/** True for what runs; a zombie has ended. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return !/\) [ZX] /.test(read(pid, 'stat'))
}

/** Resolves when `holds` does; rejects with what it says instead after ten seconds. There is no event for strangers. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  otherwise: () => unknown,
): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`Still not: ${JSON.stringify(await otherwise())}`)
    }
    await delay(10)
  }
}
