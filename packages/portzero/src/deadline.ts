// Imported, here and elsewhere: a test may replace the globals by fakes, and forget to bring them back.
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'

/** Resolves to true if `work` settles within `ms`, to false if not. Never rejects: the outcome is read from `work` itself. */
export async function settlesWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<false>((resolve) => {
    // A process that was too busy to look finds both at once: what is done by then counts as done in time.
    // A timer drops fractions, and counts from the beginning of its turn: it may fire up to one millisecond early.
    timer = setTimeout(() => setImmediate(resolve, false), Math.ceil(ms) + 1)
  })
  const settled = work.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([settled, over])
  } finally {
    clearTimeout(timer)
  }
}
