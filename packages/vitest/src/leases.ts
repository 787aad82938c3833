import process from 'node:process'
import type { Lease } from 'portzero/shared'

const held: Set<Lease> = new Set()
const failures: unknown[] = []

let isFollowing = false
let isAlone = false

/**
 * Has this fork let go of its servers when Vitest's main process ends, in whatever way. No teardown runs then, a test that waits
 * goes on waiting, and its servers would keep the fork alive for as long.
 */
export function endWithMain(): void {
  if (isFollowing || !process.connected) return
  isFollowing = true
  process.once('disconnect', () => {
    isAlone = true
    for (const lease of held) letGo(lease)
  })
}

/** Notes a lease that a teardown will give back. */
export function hold(lease: Lease): Lease {
  held.add(lease)
  if (isAlone) letGo(lease)
  return lease
}

// Nobody is left to hear of a failure.
function letGo(lease: Lease): void {
  lease.release().catch(() => {})
}

/**
 * Gives a lease back in a teardown. A failure is told to `onFailure` at once, but thrown by the last of all that are held:
 * Vitest skips the teardowns that come after one that throws, and their servers would stay.
 */
export async function giveBack(
  lease: Lease,
  onFailure: (error: unknown) => unknown,
): Promise<void> {
  if (!held.has(lease)) return
  try {
    await lease.release()
  } catch (error) {
    await onFailure(error)
    failures.push(error)
  }
  held.delete(lease)
  if (held.size > 0 || failures.length === 0) return
  const all = failures.splice(0)
  throw all.length === 1 ? all[0] : new AggregateError(all, all.map(String).join('\n'))
}

/** Gives back all that is still held, the last one first. Throws when that is done what any of them has thrown. */
export async function giveBackAll(): Promise<void> {
  for (const lease of [...held].toReversed()) await giveBack(lease, () => {})
}
