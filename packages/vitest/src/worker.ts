import { performance } from 'node:perf_hooks'
import { mainProcess } from 'portzero/shared'
import type { Place } from 'portzero/shared'
import type { TestRunner } from 'vitest'

/** The share of a test's time that starting its servers may take: their error must come before Vitest's own. */
const SHARE = 0.9

/** Where a server is started, and how long that may take. */
export async function findPlace(): Promise<Place> {
  const { VITEST_POOL_ID = '1', VITEST_WORKER_ID = '1' } = process.env
  return {
    slot: Number(VITEST_POOL_ID) - 1,
    workerId: VITEST_WORKER_ID,
    main: mainProcess(),
    limit: limitOf(await currentTest()),
  }
}

/** What Vitest keeps in its workers, as far as it is used here: nothing public tells it. */
interface WorkerState {
  readonly config: {
    readonly isolate?: boolean
    readonly pool?: string
    readonly poolOptions?: Readonly<Record<string, { readonly isolate?: boolean }>>
  }
  onCleanup?(listener: () => Promise<void>): void
}

function workerState(): Partial<WorkerState> {
  return (globalThis as { __vitest_worker__?: WorkerState }).__vitest_worker__ ?? {}
}

/** True where worker-scoped fixtures live for one test file. */
export function isIsolated(): boolean {
  const { config = {} } = workerState()
  const { pool = 'forks', poolOptions = {}, isolate = true } = config
  // The pools of virtual machines always isolate. Vitest 3 has an answer for each of the others.
  return pool.startsWith('vm') || (poolOptions[pool]?.isolate ?? isolate)
}

/** Has the worker wait for this before it ends. A listener that is known already is not called twice. */
export function atWorkerEnd(listener: () => Promise<void>): void {
  workerState().onCleanup?.(listener)
}

let namesMix = false

/** True of a Vitest before 4.1, once a server was asked for. */
export function mixesNames(): boolean {
  return namesMix
}

type Test = ReturnType<typeof TestRunner.getCurrentTest>

async function currentTest(): Promise<Test> {
  const { TestRunner: Runner } = (await import('vitest')) as { TestRunner?: typeof TestRunner }
  if (Runner !== undefined) return Runner.getCurrentTest()
  // Before 4.1.
  namesMix = true
  const { getCurrentTest } = await import('vitest/suite')
  return getCurrentTest()
}

const firstUses: WeakMap<object, { attempt: string; at: number }> = new WeakMap()

function limitOf(test: Test): Place['limit'] {
  // A hook has a limit of its own, which nothing tells.
  if (test === undefined || test.result?.hooks?.beforeEach === 'run') return undefined
  const { timeout } = test
  if (timeout <= 0 || timeout === Infinity) return undefined
  const attempt = `${test.result?.repeatCount} ${test.result?.retryCount}`
  let first = firstUses.get(test)
  if (first?.attempt !== attempt) {
    first = { attempt, at: performance.now() }
    firstUses.set(test, first)
  }
  const spent = performance.now() - first.at
  return {
    ms: Math.max(0, Math.floor(timeout * SHARE - spent)),
    advice:
      `What ended it is the timeout of the test, ${timeout} ms: raise 'testTimeout' instead, ` +
      "or start the server in a globalSetup file with globalServer(), where 'startTimeout' alone counts.",
  }
}
