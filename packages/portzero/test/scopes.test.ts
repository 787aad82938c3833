import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { list } from 'portzero'
import { acquire, define, followTest } from 'portzero/shared'
import type { Lease, Place, Scope, SharedOptions } from 'portzero/shared'
import { nameOf } from '../dist/scoped-server.js'
import type { ScopedSpec } from '../dist/scoped-server.js'
import { APP, useBackground } from './background.ts'
import { carriersOf, until } from './processes.ts'
import { failure } from './support.ts'

const { state, files, write } = useBackground()

let runner: ChildProcess
const leases: Lease[] = []

// Stands for the test runner, with which all that is shared ends.
beforeEach(() => {
  runner = spawn(process.execPath, ['-e', 'process.stdin.resume()'])
})

afterEach(async () => {
  for (const lease of leases.splice(0)) await lease.release().catch(() => {})
  await endRunner()
  await until(
    () => carriersOf(state).length === 0 && files().length === 0,
    () => carriersOf(state),
  )
})

async function endRunner(): Promise<void> {
  if (runner.exitCode !== null || runner.signalCode !== null) return
  const ended = once(runner, 'exit')
  runner.kill('SIGKILL')
  await ended
}

function place(slot = 0): Place {
  return { slot, workerId: '7', main: runner.pid }
}

/** As one worker would: each has a definition of its own. */
async function use(
  scope: Scope,
  options: SharedOptions = {},
  where: Place = place(),
): Promise<Lease> {
  const app = pathToFileURL(write('app.mjs', APP))
  const lease = await acquire(define(app, { ...options, scope }), where)
  leases.push(lease)
  return lease
}

test('workers of a run share one server', async () => {
  const uses = await Promise.all([use('run'), use('run', {}, place(1)), use('run', {}, place(2))])
  expect(new Set(uses.map(({ server }) => server.url)).size).toBe(1)
  expect(new Set(uses.map(({ server }) => server.pid)).size).toBe(1)
  await uses[0].release()
  expect((await uses[1].server.fetch('/')).status).toBe(200)
  expect(await list()).toEqual([])
  expect(await list({ all: true })).toMatchObject([
    { name: expect.stringMatching(/^server-run-[0-9a-f]{16}$/), state: 'ready', scope: 'run' },
  ])
})

test('slots have servers of their own', async () => {
  const uses = await Promise.all([use('slot'), use('slot'), use('slot', {}, place(1))])
  const [one, again, other] = uses.map(({ server }) => server.url)
  expect(again).toBe(one)
  expect(other).not.toBe(one)
})

test('it stays when nobody uses it, and is found again', async () => {
  const first = await use('run')
  const { url, pid } = first.server
  await first.release()
  const second = await use('run')
  expect(second.server).toMatchObject({ url, pid })
})

test('another target, option or name is another server', async () => {
  const uses = await Promise.all([
    use('run'),
    use('run', { grace: 500 }),
    use('run', { name: 'api' }),
  ])
  expect(new Set(uses.map(({ server }) => server.url)).size).toBe(3)
})

test('what it is held as depends on all that it is made of', () => {
  const spec: ScopedSpec = {
    fixture: 'server',
    target: { command: 'npm start' },
    title: 'npm start',
    options: { ready: /ready/, env: { MODE: 'test' } },
    scope: { kind: 'run', owner: { pid: 1, start: 'then' } },
  }
  const others: ScopedSpec[] = [
    { ...spec, fixture: 'api' },
    { ...spec, target: { command: 'npm run dev' } },
    { ...spec, target: { command: 'npm start', env: { A: 'b' } } },
    { ...spec, options: { ...spec.options, ready: /read/ } },
    { ...spec, options: { ...spec.options, env: { MODE: 'other' } } },
    { ...spec, scope: { kind: 'slot', owner: spec.scope.owner } },
    { ...spec, scope: { kind: 'run', owner: { pid: 1, start: 'now' } } },
    { ...spec, scope: { kind: 'run', owner: { pid: 2, start: 'then' } } },
  ]
  expect(nameOf({ ...spec })).toBe(nameOf(spec))
  expect(new Set([spec, ...others].map(nameOf)).size).toBe(others.length + 1)
})

test('it ends with the runner', async () => {
  const { server } = await use('run')
  const { exited } = server
  await endRunner()
  await until(
    () => carriersOf(state).length === 0,
    () => carriersOf(state),
  )
  expect((await failure(server.fetch('/'))).code).toBe('SERVER_CLOSED')
  expect(await Promise.race([exited, Promise.resolve('it was told to')])).toBe('it was told to')
})

test('none is started for a runner that is gone', async () => {
  await endRunner()
  expect((await failure(use('run'))).code).toBe('START_FAILED')
  expect(files()).toEqual([])
})

test('a request is that of the only test that runs', async () => {
  const app = pathToFileURL(write('app.mjs', APP))
  const definition = define(app, { scope: 'run', lingering: 'fail' })
  const lease = await acquire(definition, place())
  leases.push(lease)
  const { server } = lease
  const ended = await followTest(definition, {}, 'lists')
  const held = server.fetch('/holds')
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  expect(server.inFlight()).toMatchObject([{ path: '/holds', test: 'lists' }])
  expect((await failure(ended())).code).toBe('LINGERING')
  const both = [await followTest(definition, {}, 'one'), await followTest(definition, {}, 'two')]
  const unknown = server.fetch('/holds')
  await until(
    () => server.inFlight().length === 2,
    () => server.inFlight(),
  )
  expect(server.inFlight()[1]).not.toHaveProperty('test')
  for (const end of both) await end()
  await server.fetch('/lets-go')
  expect([(await held).status, (await unknown).status]).toEqual([200, 200])
})

test.for<[string, unknown, object, string]>([
  ['an app', { fetch: () => new Response() }, { scope: 'run' }, 'INVALID_TARGET'],
  ['a factory', () => ({}), { scope: 'slot' }, 'INVALID_TARGET'],
  ['a check', './app.js', { scope: 'run', ready: () => true }, 'INVALID_OPTION'],
  ['this process', './app.js', { scope: 'run', isolation: 'inline' }, 'INVALID_OPTION'],
  ['another scope', './app.js', { scope: 'file' }, 'INVALID_OPTION'],
])('refuses %s', ([, target, options, code]) => {
  expect(() => define(target as string, options)).toThrow(expect.objectContaining({ code }))
})

test('only fixtures have a scope', () => {
  expect(() => define('./app.js', { scope: 'run' }, 'globalServer()')).toThrow(
    "globalServer() has no option 'scope'",
  )
})
