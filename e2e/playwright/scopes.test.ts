import { expect, test } from 'vitest'
import { openMeeting } from '../meeting.ts'
import { ScopesFolder } from '../scopes.ts'
import { runPlaywright } from './run.ts'

test.for<[string, (starts: string[]) => void]>([
  // Every failing test ends a worker; whether the last one is followed by another is a matter of order.
  ['worker', ({ length }) => expect([11, 12]).toContain(length)],
  ['slot', (starts) => expect(starts).toEqual(['slot 0, worker slot-0', 'slot 1, worker slot-1'])],
  ['run', (starts) => expect(starts).toEqual(['slot 0, worker run'])],
])('40 tests of which 10 fail, with a server for each %s', async ([scope, check]) => {
  await using folder = await ScopesFolder.make()
  const run = await runPlaywright('playwright-scopes', {
    files: ['suite'],
    env: { ...folder.env, SCOPE: scope },
  })
  expect(run).toMatchObject({ exitCode: 1, passed: 30, failed: 10, errors: [] })
  check(folder.starts)
})

test.for(['slot', 'run'])('workers of a %s at the same time', async (scope) => {
  await using folder = await ScopesFolder.make()
  await using meeting = await openMeeting(2)
  const run = await runPlaywright('playwright-scopes', {
    files: ['meets'],
    env: { ...folder.env, SCOPE: scope, MEETING_URL: meeting.url, START_MS: '300' },
  })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  const servers = new Set(run.tests.map(({ notes }) => `${notes['url']} ${notes['answer']}`))
  expect(servers.size).toBe(scope === 'run' ? 1 : 2)
  expect(folder.starts).toHaveLength(servers.size)
})

test('a start that fails, fails the tests of all workers with its error', async () => {
  await using folder = await ScopesFolder.make()
  const run = await runPlaywright('playwright-scopes', {
    files: ['meets'],
    env: { ...folder.env, SCOPE: 'run', FAILS: '1' },
  })
  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 2 })
  for (const { errors } of run.tests) {
    expect(errors.join()).toContain('[FACTORY_FAILED]: The factory failed: cannot start')
  }
})

test.for(['slot', 'run'])('close() in a test closes the server of a %s', async (scope) => {
  await using folder = await ScopesFolder.make()
  const run = await runPlaywright('playwright-scopes', {
    files: ['closes'],
    env: { ...folder.env, SCOPE: scope },
  })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(folder.starts).toHaveLength(2)
  // The port was free.
  expect(new Set(run.tests.map(({ notes }) => notes['url'])).size).toBe(1)
})

test.for(['slot', 'run'])('the server of a %s that dies fails its test', async (scope) => {
  await using folder = await ScopesFolder.make()
  const env = { ...folder.env, SCOPE: scope }
  const run = await runPlaywright('playwright-scopes', { files: ['dies'], env })
  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 2 })
  for (const { errors } of run.tests) {
    expect(errors.join()).toMatch(/\[SERVER_DIED\].* ended with exit code 7/)
  }
  expect(folder.starts).toHaveLength(1)
})

test.for(['slot', 'run'])('and is brought back for a %s where that is wanted', async (scope) => {
  await using folder = await ScopesFolder.make()
  const env = { ...folder.env, SCOPE: scope, RESTART: 'between-tests' }
  const run = await runPlaywright('playwright-scopes', { files: ['dies'], env })
  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(folder.starts).toHaveLength(2)
})

test.for(['slot', 'run'])(
  'a request to the server of a %s that outlasts its test fails it',
  async (scope) => {
    await using folder = await ScopesFolder.make()
    const env = { ...folder.env, SCOPE: scope, LINGERING: 'fail' }
    const run = await runPlaywright('playwright-scopes', { files: ['lingers'], env })
    expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1 })
    expect(run.tests[0]?.errors.join()).toMatch(
      /The test "leaves a request running" ended while \S+ was still at work on GET \/slow/,
    )
  },
)

test.for(['slot', 'run'])(
  'a close hook that throws in the server of a %s fails the run',
  async (scope) => {
    await using folder = await ScopesFolder.make()
    const env = { ...folder.env, SCOPE: scope, CLOSE_FAILS: '1' }
    const run = await runPlaywright('playwright-scopes', { files: ['passes'], env })
    expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 0, errors: [] })
    expect(run.output).toMatch(
      /^portzero: The run fails, .*server\.js, did not end as it should. PortzeroError \[CLOSE_FAILED\]: .* still in use$/m,
    )
  },
)

test('a run whose shared server ends well keeps its exit code', async () => {
  await using folder = await ScopesFolder.make()
  const env = { ...folder.env, SCOPE: 'run' }
  const run = await runPlaywright('playwright-scopes', { files: ['passes'], env })
  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
  expect(run.output).not.toContain('portzero:')
})

test('what cannot be handed over is refused at once', async () => {
  const run = await runPlaywright('playwright-scopes', { files: ['refused'] })
  expect(run.exitCode).toBe(1)
  expect(run.errors.join()).toContain(
    "[INVALID_TARGET]: liveServer() with scope: 'run' takes what another process can start",
  )
})
