import { expect, test } from 'vitest'
import { ScopesFolder, testScopes } from '../scopes.ts'
import { runPlaywright } from './run.ts'

testScopes({
  run: (options) => runPlaywright('playwright-scopes', options),
  // Every failing test ends a worker; whether the last one is followed by another is a matter of order.
  workers: [11, 12],
  ways: ['--workers=2'],
})

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
