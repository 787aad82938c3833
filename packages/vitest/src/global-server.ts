import type { Target } from 'portzero'
import { acquire, define, offer } from 'portzero/shared'
import type { Definition, SharedContext, SharedOptions } from 'portzero/shared'
import { provide } from './provide.ts'
import { heedWorkers, teardownOf } from './run-end.ts'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the server that `portzero()` or a `globalServer()` started, without a slash at the end. */
    baseURL: string
    /** With `https: true`, the certificate that clients are to trust, as PEM. */
    serverCA?: string | undefined
  }
}

/**
 * Options of {@link globalServer}: those of `serve()`, but for `slot` and `workerId`; and `name`, which makes the URL known under
 * another key: `'api'` provides `apiURL`. Those of `liveServer()` that are about single tests and workers it does not have.
 */
export type GlobalServerOptions = Omit<SharedOptions, 'lingering' | 'restart' | 'scope'>

/** What {@link globalServer} returns, for Vitest to call. The teardown closes the server. */
export type GlobalSetup = (project: TestProject) => Promise<() => Promise<void>>

/**
 * One server for the whole run, in Vitest's main process: the default export of a `globalSetup` file. It is started before the
 * first test, if there is any, and closed after the last one.
 *
 * ```ts
 * export default globalServer(() => import('./src/server.ts'))
 *
 * test('lists', async () => {
 *   const response = await fetch(`${inject('baseURL')}/todos`)
 * })
 * ```
 *
 * With `https: true` it also provides `serverCA` (with a name, `apiCA`): what clients are to trust, as PEM.
 *
 * Projects that inherit the `globalSetup` file share one server. A factory is given slot 0 and the worker `'global'`.
 * With a name, declare its key for TypeScript: `declare module 'vitest' { interface ProvidedContext { apiURL: string } }`.
 *
 * Throws a `PortzeroError` at once: `INVALID_TARGET`, `INVALID_OPTION`, `UNKNOWN_OPTION`. A start that fails or takes longer than
 * `startTimeout` (default 30,000 ms), fails the run with the error of `serve()`. So does, with `CLOSE_FAILED`, a close hook that
 * throws. Closing takes no longer than `grace` (default 1,000 ms) and a little.
 */
export function globalServer(
  target: Target<SharedContext>,
  options: GlobalServerOptions = {},
): GlobalSetup {
  const definition = define(target, options, 'globalServer()')
  return offer(definition, async (project) => {
    heedWorkers(project.vitest)
    const place = { slot: 0, workerId: 'global' }
    const lease = await acquire(firstLike(definition, project), place)
    const teardown = teardownOf(lease, project.vitest)
    provide(project, definition, lease.server)
    return teardown
  })
}

const known: WeakMap<TestProject['vitest'], Map<string, Definition>> = new WeakMap()

/** Vitest loads and calls a globalSetup file anew for each project that inherits it: all use what the first one defined. */
function firstLike(definition: Definition, { vitest, config }: TestProject): Definition {
  const inRun = known.get(vitest) ?? new Map<string, Definition>()
  known.set(vitest, inRun)
  const { name, target } = definition
  const source = typeof target === 'object' ? '' : String(target)
  const key = JSON.stringify([config.globalSetup, name, source])
  const first = inRun.get(key) ?? definition
  inRun.set(key, first)
  return first
}
