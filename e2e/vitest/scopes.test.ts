import { expect, test } from 'vitest'
import { ScopesFolder, testScopes } from '../scopes.ts'
import { runVitest } from './run.ts'

testScopes({
  run: (options) => runVitest('vitest-scopes', options),
  // Each file has a worker of its own.
  workers: [10],
  ways: ['--pool=forks', '--pool=threads', '--pool=vmForks', '--pool=vmThreads'],
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
