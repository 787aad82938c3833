import { PortzeroError } from 'portzero'
import type { LiveServer, Target } from 'portzero'
import { acquire, define, followTest, offer } from 'portzero/shared'
import type { Definition, SharedContext, SharedOptions } from 'portzero/shared'
import type { TestContext } from 'vitest'
import { endWithMain, giveBack, giveBackAll, hold } from './leases.ts'
import { refuseNamesake, remember } from './names.ts'
import { atEnd, endForgotten, print } from './test-end.ts'
import { atWorkerEnd, findPlace, isIsolated } from './worker.ts'

/**
 * Options of {@link liveServer}: those of `serve()`, but for `slot` and `workerId`, which Vitest tells; and `name`.
 * `grace` (default 1,000 ms) is at most 25,000 ms: Vitest gives up on a worker that takes longer to end, and passes the run.
 */
export type LiveServerOptions<Name extends string = string> = SharedOptions<Name>

/**
 * What {@link liveServer} returns, for `test.extend()`: the fixtures `server`, a `LiveServer`, and `baseURL`, a string;
 * with the name `'api'` they are `api` and `apiURL`.
 */
// In truth each is a pair of such a function and its scope; the type of a fixture is inferred from the function alone.
export type LiveServerFixtures<Name extends string = 'server'> = {
  [Key in Name | URLName<Name>]: Fixture<Key extends Name ? LiveServer : string>
}

type URLName<Name extends string> = 'server' extends Name ? 'baseURL' : `${Name}URL`

type Fixture<Value> = (context: object, use: (value: Value) => Promise<void>) => Promise<void>

/** How long the closing of one server may take, in ms. Several close one after another, and Vitest waits 60 seconds for all. */
const LONGEST_GRACE = 25_000

/**
 * Fixtures that give every worker a live server of its own, for `test.extend()`. It is started on a free port for the first
 * test that needs it, and closed after the worker's last one. By default a worker of Vitest's lives for one test file; with
 * `isolate: false` it lives for many, and all that share the target and the options share the server.
 *
 * ```ts
 * export const test = base.extend(liveServer(() => import('../src/server.ts')))
 *
 * test('lists', async ({ server }) => {
 *   expect((await server.fetch('/todos')).status).toBe(200)
 * })
 * ```
 *
 * With `scope: 'slot'` or `'run'` workers share a server, which ends with the run.
 *
 * For several servers, chain: `base.extend(liveServer(app)).extend(liveServer(api, { name: 'api' }))` has `api` and `apiURL`
 * besides. A factory is given `slot` (of `VITEST_POOL_ID`, from 0), `workerId` (`VITEST_WORKER_ID`), and `use(fixtures)` for the
 * handle of another server: `const { url } = await use(api)`.
 *
 * Vitest counts the start against the timeout of the first test that needs the server. So it is given up shortly before, or
 * after `startTimeout` (default 30,000 ms) if that is less, with an error that says how far it came. For an app that takes longer,
 * raise `testTimeout`, use {@link globalServer}, or start it in a hook, whose own timeout counts:
 * `test.beforeAll(async ({ server }) => {}, 60_000)` (Vitest 4.1).
 *
 * Extend at the top level of a file. What Vitest calls a fixture's scope is `'file'`, and with `isolate: false` it is `'worker'`:
 * a fixture of yours that builds on `server` has that scope, or none.
 *
 * Throws a `PortzeroError` at once: `INVALID_TARGET`, `INVALID_OPTION`, `UNKNOWN_OPTION`. A start that fails, fails the test with
 * the error of `serve()`: `FACTORY_FAILED`, `MODULE_FAILED`, `NOTHING_LISTENED`, `START_TIMEOUT`, `NOT_READY` and the others.
 * A close hook that throws fails the test file with `CLOSE_FAILED`. With `isolate: false` that is printed, and fails the run where
 * {@link portzero} is among the plugins; else it may come too late for Vitest 4.1 and 5.
 */
export function liveServer<const Name extends string = 'server'>(
  target: Target<SharedContext>,
  options: LiveServerOptions<Name> = {},
): LiveServerFixtures<NoInfer<Name>> {
  const definition = define(target, options)
  checkGrace(definition)
  remember(definition)
  const { name, urlName } = definition
  // Only at the end of a file does Vitest heed what a teardown throws; where a worker has one file, that is its own end too.
  const lifetime = { scope: isIsolated() ? 'file' : 'worker' }
  const fixtures: object = {
    [name]: [lease(definition, (server) => server), lifetime],
    // Vitest reads in the source what a fixture depends on, and no name can be filled in there: so it has a lease of its own.
    [urlName]: [lease(definition, ({ url }) => url), lifetime],
    [`${name} per test`]: [follow(definition), { auto: true }],
  }
  return offer(definition, fixtures as LiveServerFixtures<Name>)
}

/** A fixture of every test, which knows when it begins and ends. It starts no server. */
function follow(
  definition: Definition,
): (
  context: Pick<TestContext, 'task' | 'onTestFinished'>,
  use: (value: undefined) => Promise<void>,
) => Promise<void> {
  return async ({ task, onTestFinished }, use) => {
    await endForgotten()
    const begun = followTest(definition, task, task.name)
    atEnd({ task, onTestFinished }, async () => {
      // The time of the test may have been over before it has begun.
      const end = await begun.catch(() => undefined)
      await end?.()
    })
    await begun
    await use(undefined)
  }
}

function checkGrace({ options: { grace = 0 } }: Definition): void {
  if (grace <= LONGEST_GRACE) return
  throw new PortzeroError(
    'INVALID_OPTION',
    `The option 'grace' of liveServer() must be a number of milliseconds from 0 to ${LONGEST_GRACE}: ` +
      `Vitest gives up on a worker that takes longer to end, and passes the run. Got the number ${grace}.`,
  )
}

/** A fixture that holds the server for as long as it is in use. */
function lease<Value>(
  definition: Definition,
  valueOf: (server: LiveServer) => Value,
): Fixture<Value> {
  return async ({}, use) => {
    const place = await findPlace()
    refuseNamesake(definition)
    endWithMain()
    if (isIsolated()) atWorkerEnd(closeForgotten)
    const held = hold(await acquire(definition, place))
    await use(valueOf(held.server))
    await endForgotten()
    await giveBack(held, tell)
  }
}

/**
 * Gives back what is still held where a worker has one file, and ends after that: when an `afterAll` hook throws, or another teardown of
 * the file, Vitest skips all others. That has failed the file by then: what else is wrong is printed.
 */
async function closeForgotten(): Promise<void> {
  await endForgotten()
  await giveBackAll().catch(print)
}

// What is thrown at the end of a worker that has many files, Vitest often hears too late to print it.
async function tell(failure: unknown): Promise<void> {
  if (!isIsolated()) await print(failure)
}
