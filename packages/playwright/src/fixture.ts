import type { Fixtures, TestFixture, TestInfo, WorkerFixture } from '@playwright/test'
import type { LiveServer, Target } from 'portzero'
import {
  DEFAULTS,
  acquire,
  define,
  followTest,
  heedShared,
  mainProcess,
  offer,
} from 'portzero/shared'
import type { Definition, Place, SharedContext, SharedOptions } from 'portzero/shared'
import { explained } from './failure.ts'

/**
 * Options of {@link liveServer}: those of `serve()`, but for `slot` and `workerId`, which Playwright tells; and `name`.
 * They are no options of Playwright's: neither `test.use()` nor the configuration changes them.
 */
export type LiveServerOptions<Name extends string = string> = SharedOptions<Name>

/**
 * What {@link liveServer} returns, for `test.extend()`. By default the worker-scoped fixture `server` and the test-scoped
 * `baseURL`; with the name `'api'` the worker-scoped `api`, a `LiveServer`, and `apiURL`, a string.
 */
export type LiveServerFixtures<Name extends string = 'server'> = 'server' extends Name
  ? Fixtures<{ baseURL: string }, { server: LiveServer }, { baseURL: string | undefined }>
  : Fixtures<object, Record<Name, LiveServer> & Record<`${Name}URL`, string>>

/**
 * What Playwright's limit adds to what starting and closing may take, in ms: it is for faults of our own, and must not come
 * first when the process was busy and all timers are late.
 */
const RESERVE = 60_000

/** The longest limit that is safe to hand to a timer, in ms. */
const LONGEST = 2 ** 31 - 1_000

/**
 * Fixtures that give every worker a live server of its own, for `test.extend()`. It is started on a free port for the first
 * test that needs it, and closed after the worker's last one.
 *
 * ```ts
 * export const test = base.extend(liveServer(() => import('../src/server.ts')))
 *
 * test('adds', async ({ page }) => { await page.goto('/') })
 * ```
 *
 * `server` is the `LiveServer`, and `baseURL` its URL, so that `page` and `request` take paths. As they read `baseURL`, the
 * server starts for every test of this `test`; one that needs none uses `test` of `@playwright/test`.
 * A test that fails ends its worker, and the server with it: the next test has a new one. With `scope: 'slot'` or `'run'` workers
 * share a server, which ends with the run.
 *
 * With `https: true` pages and requests trust the server: Playwright's option `ignoreHTTPSErrors` is on, unless `test.use()` says
 * otherwise. For a server with a name, set it yourself.
 *
 * For several servers, chain: `base.extend(liveServer(app)).extend(liveServer(api, { name: 'api' }))` has `api` and `apiURL`
 * besides. A factory is given `slot` (Playwright's `parallelIndex`), `workerId` (its `workerIndex`), and `use(fixtures)` for the
 * handle of another server: `const { url } = await use(api)`.
 *
 * Starting has a time limit of its own, `startTimeout` (default 30,000 ms), and so has closing, `grace` (default 1,000 ms) and
 * a little: neither counts against the test's timeout.
 *
 * Throws a `PortzeroError` at once: `INVALID_TARGET`, `INVALID_OPTION`, `UNKNOWN_OPTION`. A start that fails, fails the test with
 * the error of `serve()`: `FACTORY_FAILED`, `MODULE_FAILED`, `NOTHING_LISTENED`, `START_TIMEOUT`, `NOT_READY` and the others.
 * A close hook that throws fails the run with `CLOSE_FAILED`; that of a server which workers share by the exit code alone.
 */
export function liveServer<Name extends string = 'server'>(
  target: Target<SharedContext>,
  options: LiveServerOptions<Name> = {},
): LiveServerFixtures<NoInfer<Name>> {
  const definition = define(target, options)
  // Playwright loads the files of tests in its main process too, to know what there is to run.
  if (definition.scope !== 'worker') heedShared()
  const fixtures: object =
    definition.name === 'server' ? withBaseURL(definition) : named(definition)
  const perTest = {
    [`${definition.name}PerTest`]: [
      follow(definition),
      { auto: true, box: true, timeout: limits(definition).timeout },
    ],
  }
  return offer(definition, { ...fixtures, ...perTest } as LiveServerFixtures<Name>)
}

/** A fixture of every test, which knows when it begins and ends. It starts no server, but may start one again, and wait for requests. */
function follow(definition: Definition): TestFixture<void, object> {
  return async ({}, use, info): Promise<void> => {
    const ended = await followTest(definition, info, isForAll(info) ? undefined : info.title)
    await use()
    await ended()
  }
}

/**
 * Whether this is the `beforeAll` or `afterAll` hook of a file, for which Playwright sets up what its pages and requests need, with the
 * title of the test beside it. Nothing public tells it.
 */
function isForAll(info: TestInfo): boolean {
  const hook = (info as { _currentHookType?(): string | undefined })._currentHookType?.()
  return hook === 'beforeAll' || hook === 'afterAll'
}

type Needed = { server: LiveServer; serverPerTest: unknown }

function withBaseURL(definition: Definition): object {
  return {
    server: [lease(definition, (server) => server), limits(definition)],
    // Pages and requests need it: with what follows the test behind it, they are gone when that ends.
    baseURL: async (
      { server, serverPerTest: _follows }: Needed,
      use: (url: string) => Promise<void>,
    ) => use(server.url),
    ...(definition.options.https === true && {
      // Playwright cannot be told whom to trust, only to trust all.
      ignoreHTTPSErrors: async ({}: object, use: (value: boolean) => Promise<void>) => use(true),
    }),
  }
}

// Playwright reads what a fixture depends on in its source, where no name can be filled in: the URL takes a lease of its own.
function named(definition: Definition): object {
  return {
    [definition.name]: [lease(definition, (server) => server), limits(definition)],
    [definition.urlName]: [lease(definition, ({ url }) => url), limits(definition)],
  }
}

/** A fixture that holds the server for as long as it is in use. */
function lease<T>(
  definition: Definition,
  valueOf: (server: LiveServer) => T,
): WorkerFixture<T, object> {
  return async ({}, use, { parallelIndex, workerIndex }): Promise<void> => {
    const place: Place = {
      slot: parallelIndex,
      workerId: String(workerIndex),
      main: mainProcess(),
    }
    try {
      const { server, release } = await acquire(definition, place)
      await use(valueOf(server))
      await release()
    } catch (error) {
      throw explained(error)
    }
  }
}

/** Playwright counts setup and teardown of a fixture together, against one limit. */
function limits({ options }: Definition): { scope: 'worker'; timeout: number } {
  const { startTimeout = DEFAULTS.startTimeout, grace = DEFAULTS.grace } = options
  return { scope: 'worker', timeout: Math.min(startTimeout + grace + RESERVE, LONGEST) }
}
