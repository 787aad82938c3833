import { heedShared } from 'portzero/shared'
import type { Lease } from 'portzero/shared'
import { giveBack, hold } from './leases.ts'
import type { Vitest } from 'vitest/node'

const heeded: Set<Vitest> = new Set()

/**
 * Has a run fail for a server of a worker that was not closed as it should be, also where Vitest has judged the run before. A worker that
 * has many files (`isolate: false`) ends after the last of them, and what it throws then Vitest 4.1 and 5 note, and no more. What workers
 * share ends later still.
 */
export function heedWorkers(vitest: Vitest): void {
  // Workers have ended by then: Vitest waits for them when it closes, and nothing that it calls comes later.
  if (heeded.size === 0) process.once('exit', judge)
  heeded.add(vitest)
  heedShared()
}

function judge(): void {
  for (const { config, state } of heeded) {
    if (config.dangerouslyIgnoreUnhandledErrors) continue
    if (state.getUnhandledErrors().some(isOurs)) failRun()
  }
}

/**
 * The teardown of a server in Vitest's main process. Vitest calls it once more when it closes: where the teardown of another globalSetup file
 * throws, it skips those that are left.
 */
export function teardownOf(lease: Lease, vitest: Vitest): () => Promise<void> {
  const held = hold(lease)
  const teardown = (): Promise<void> => giveBack(held, failRun)
  vitest.onClose(teardown)
  return teardown
}

/** Has the process say so when it ends: what comes after the last test, Vitest prints, and passes the run. */
function failRun(): void {
  process.exitCode ||= 1
}

/** As it comes from a worker: a copy, of no class. */
function isOurs(error: unknown): boolean {
  const { name } = Object(error) as { name?: unknown }
  return typeof name === 'string' && name.startsWith('PortzeroError')
}
