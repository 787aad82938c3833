// Imported, here and elsewhere: a test may replace the globals by fakes, and forget to bring them back.
import { performance } from 'node:perf_hooks'
import { clearImmediate, clearTimeout, setImmediate, setTimeout } from 'node:timers'

/** Milliseconds since the epoch, also in a process whose tests have set the clock. */
export const now: () => number = Date.now

/** The longest delay that a timer of Node's keeps, in ms: a longer one would fire at once. */
export const LONGEST: number = 2 ** 31 - 1

/**
 * What does not come. Made where it is waited for: one of this module's own would keep all that ever waited for it, and Vitest's search for
 * leaks would name it in every test file.
 */
export function never(): Promise<never> {
  return new Promise(() => {})
}

/**
 * What is given at most where the process stood still as the time ended, in ms. What it waits for, a thread of its own or a client, may
 * have been kept waiting too, or have to hear from it before it goes on.
 */
const STOOD_STILL = 25

/** Resolves to true if `work` settles within `ms`, to false if not. Never rejects: the outcome is read from `work` itself. */
export function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const due = performance.now() + ms
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined
    const expire = (): void => {
      const late = Math.max(0, performance.now() - due)
      timer = setTimeout(() => setImmediate(resolve, false), Math.min(late, STOOD_STILL))
    }
    // What settles at once, as most does, needs no timer.
    const start = setImmediate(() => {
      // A timer drops fractions, and counts from the beginning of its turn: it may fire up to one millisecond early.
      // A process that was too busy to look finds both at once: what is done by then counts as done in time.
      const delay = Math.min(Math.max(0, Math.ceil(ms)) + 1, LONGEST)
      timer = setTimeout(expire, delay)
    })
    const settled = (): void => {
      clearImmediate(start)
      clearTimeout(timer)
      resolve(true)
    }
    work.then(settled, settled)
  })
}

/** The same until a point in time, of `performance.now()`. What the work begins with may take this process a while, as a module that is loaded does: it counts. */
export async function settlesBy(work: Promise<unknown>, deadline: number): Promise<boolean> {
  return (await settlesWithin(work, 0)) || settlesWithin(work, deadline - performance.now())
}
