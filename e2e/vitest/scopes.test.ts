import { expect, test } from 'vitest'
import { openMeeting } from '../meeting.ts'
import { ScopesFolder } from '../scopes.ts'
import { runVitest } from './run.ts'

const slots = ['slot 0, worker slot-0', 'slot 1, worker slot-1']

test.for<[string, (starts: string[]) => void]>([
  // Each file has a worker of its own.
  ['worker', ({ length }) => expect(length).toBe(10)],
  ['slot', (starts) => expect(starts).toEqual(slots)],
  ['run', (starts) => expect(starts).toEqual(['slot 0, worker run'])],
])('40 tests of which 10 fail, with a server for each %s', async ([scope, check]) => {
  await using folder = await ScopesFolder.make()
  const run = await runVitest('vitest-scopes', {
    files: ['suite'],
    env: { ...folder.env, SCOPE: scope },
  })
  expect(run).toMatchObject({ exitCode: 1, passed: 30, failed: 10 })
  check(folder.starts)
})

test.for(
  ['forks', 'threads', 'vmForks', 'vmThreads'].flatMap(
    (pool) =>
      [
        [pool, 'slot'],
        [pool, 'run'],
      ] as const,
  ),
)('workers of the pool %s at the same time, with a server for each %s', async ([pool, scope]) => {
  await using folder = await ScopesFolder.make()
  await using meeting = await openMeeting(2)
  const run = await runVitest('vitest-scopes', {
    files: ['meets'],
    args: [`--pool=${pool}`],
    env: { ...folder.env, SCOPE: scope, MEETING_URL: meeting.url, START_MS: '300' },
  })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  const servers = new Set(run.output.match(/^server .* answers .*$/gm))
  expect(servers.size).toBe(scope === 'run' ? 1 : 2)
  expect(folder.starts).toEqual(scope === 'run' ? ['slot 0, worker run'] : slots)
})

test('a start that fails, fails the tests of all workers with its error', async () => {
  await using folder = await ScopesFolder.make()
  const run = await runVitest('vitest-scopes', {
    files: ['meets'],
    env: { ...folder.env, SCOPE: 'run', FAILS: '1' },
  })
  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 2 })
  for (const { errors } of run.tests) {
    expect(errors.join()).toContain('[FACTORY_FAILED]: The factory failed: cannot start')
  }
})

test('a start that takes longer than one test has goes on for others', async () => {
  await using folder = await ScopesFolder.make()
  const run = await runVitest('vitest-scopes', {
    files: ['slow'],
    env: { ...folder.env, SCOPE: 'run', START_MS: '4000' },
  })
  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(run.tests.find(({ status }) => status === 'failed')?.errors.join()).toMatch(
    /\[START_TIMEOUT\]: The server did not start within \d+ ms: .*server\.js is still being started/,
  )
  expect(folder.starts).toHaveLength(1)
})

test.for(['slot', 'run'])('close() in a test closes the server of a %s', async (scope) => {
  await using folder = await ScopesFolder.make()
  const run = await runVitest('vitest-scopes', {
    files: ['closes'],
    env: { ...folder.env, SCOPE: scope },
  })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(folder.starts).toHaveLength(2)
})

test.for(['slot', 'run'])('the server of a %s that dies fails its test', async (scope) => {
  await using folder = await ScopesFolder.make()
  const env = { ...folder.env, SCOPE: scope }
  const run = await runVitest('vitest-scopes', { files: ['dies'], env })
  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 2 })
  for (const { errors } of run.tests) {
    expect(errors.join()).toMatch(/\[SERVER_DIED\].* ended with exit code 7/)
  }
  expect(folder.starts).toHaveLength(1)
})

test.for(['slot', 'run'])('and is brought back for a %s where that is wanted', async (scope) => {
  await using folder = await ScopesFolder.make()
  const env = { ...folder.env, SCOPE: scope, RESTART: 'between-tests' }
  const run = await runVitest('vitest-scopes', { files: ['dies'], env })
  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(folder.starts).toHaveLength(2)
})

test.for(['slot', 'run'])(
  'a request to the server of a %s that outlasts its test fails it',
  async (scope) => {
    await using folder = await ScopesFolder.make()
    const env = { ...folder.env, SCOPE: scope, LINGERING: 'fail' }
    const run = await runVitest('vitest-scopes', { files: ['lingers'], env })
    expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1 })
    expect(run.tests[0]?.errors.join()).toMatch(
      /The test "leaves a request running" ended while \S+ was still at work on GET \/slow/,
    )
  },
)

test.for(
  ['forks', 'threads'].flatMap(
    (pool) =>
      [
        [pool, 'slot'],
        [pool, 'run'],
      ] as const,
  ),
)(
  'a close hook that throws fails the run where the plugin is: %s, server for each %s',
  async ([pool, scope]) => {
    await using folder = await ScopesFolder.make()
    const run = await runVitest('vitest-scopes', {
      files: ['passes'],
      args: ['--config=plugin.config.ts', `--pool=${pool}`],
      env: { ...folder.env, SCOPE: scope, CLOSE_FAILS: '1' },
    })
    expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 0 })
    expect(run.output).toMatch(
      /^portzero: The run fails, .*server\.js, did not end as it should. PortzeroError \[CLOSE_FAILED\]: .* still in use$/m,
    )
  },
)

test('the plugin leaves the exit code of a run whose servers end well', async () => {
  await using folder = await ScopesFolder.make()
  const run = await runVitest('vitest-scopes', {
    files: ['passes'],
    args: ['--config=plugin.config.ts'],
    env: { ...folder.env, SCOPE: 'run' },
  })
  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
  expect(run.output).not.toContain('The run fails')
})

test('what cannot be handed over is refused at once', async () => {
  const run = await runVitest('vitest-scopes', { files: ['refused'] })
  expect(run.exitCode).toBe(1)
  expect(run.output).toContain(
    "[INVALID_TARGET]: liveServer() with scope: 'run' takes what another process can start",
  )
})
