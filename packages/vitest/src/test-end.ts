import process from 'node:process'
import type { TestContext } from 'vitest'

type Context = Pick<TestContext, 'task' | 'onTestFinished'>

/** What is to be called when the tests end that are followed. */
const ends: Map<() => Promise<void>, Context['task']> = new Map()

/** Calls `end` when the test has ended, after all teardowns: Vitest skips those that come after one that throws. */
export function atEnd({ task, onTestFinished }: Context, end: () => Promise<void>): void {
  ends.set(end, task)
  // What it waits for has a limit of its own.
  onTestFinished(() => {
    ends.delete(end)
    return end()
  }, 0)
}

/**
 * Does so for the tests that are over, and of whose end Vitest has not told: where an `aroundEach` hook throws before it runs the test,
 * it does not. They have failed by then: what else is wrong with them is printed.
 */
export async function endForgotten(): Promise<void> {
  for (const [end, { result }] of ends) {
    if (result?.duration === undefined) continue
    ends.delete(end)
    await end().catch(print)
  }
}

/** Resolves when it is written: a worker may be ended as soon as this is done. */
export async function print(failure: unknown): Promise<void> {
  const line = `portzero: ${String(failure)}\n`
  await new Promise<void>((resolve) => process.stderr.write(line, () => resolve()))
}
