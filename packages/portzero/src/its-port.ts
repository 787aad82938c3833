import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { PortzeroError } from './errors.ts'

/** How long a port that was taken in a restart is waited for, in ms. */
const TAKEN = 250

/** How long to wait before it is tried again, in ms. */
const AGAIN = 5

/**
 * Begins on a port that was free for a moment. Whoever was given it meanwhile may have it for no longer than that: the system gives
 * free ports to clients too. Rejects with `PORT_IN_USE` if it stays taken, or its restart is given up.
 */
export async function onItsPort<T>(begin: () => Promise<T>, givenUp: AbortSignal): Promise<T> {
  const deadline = performance.now() + TAKEN
  for (;;) {
    try {
      return await begin()
    } catch (error) {
      const isTaken = error instanceof PortzeroError && error.code === 'PORT_IN_USE'
      if (!isTaken || givenUp.aborted || performance.now() > deadline) throw error
      await delay(AGAIN)
    }
  }
}
