import { expect, test } from 'vitest'
import { launchOptions } from '../../scripts/browser.js'
import { runVitest } from './run.ts'

const both = [
  { name: 'api', worker: 'global', closed: 'gracefully' },
  { name: 'server', worker: 'global', closed: 'gracefully' },
]

test.for([
  ['forks'],
  ['threads'],
  ['vmThreads'],
  ['forks', '--no-isolate'],
  ['threads', '--no-isolate'],
])('the plugin gives all files one server of each name: %s', async ([pool, ...args]) => {
  const run = await runVitest('vitest-plugin', { args: [`--pool=${pool}`, ...args] })

  expect(run).toMatchObject({ exitCode: 0, passed: 6, failed: 0 })
  expect(byName(run.servers)).toMatchObject(both)
})

test('projects that have the same plugin share its server', async () => {
  const run = await runVitest('vitest-plugin', { args: ['--config=projects.config.ts'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 3, failed: 0 })
  expect(byName(run.servers)).toMatchObject(both)
})

test('nothing starts where no test matches', async () => {
  const run = await runVitest('vitest-plugin', { files: ['none'], args: ['--passWithNoTests'] })

  expect(run).toMatchObject({ exitCode: 0, servers: [] })
  expect(run.output).toContain('No test files found')
})

test('nothing starts for tests that are only listed', async () => {
  const run = await runVitest('vitest-plugin', { command: 'list' })

  expect(run).toMatchObject({ exitCode: 0, servers: [] })
  expect(run.output).toContain('two.test.ts > asks the same server')
})

test('a server of the plugin that cannot start fails the run, and the other one is closed', async () => {
  const run = await runVitest('vitest-plugin', { args: ['--config=throws.config.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 0 })
  expect(run.output).toContain('There is no module at')
  expect(run.servers).toMatchObject([{ name: 'server', closed: 'gracefully' }])
})

test('a server of the plugin whose close hook throws fails the run', async () => {
  const run = await runVitest('vitest-plugin', { args: ['--config=close-hook.config.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 6, failed: 0 })
  expect(run.output).toContain('a close hook failed: the database is still in use')
  expect(byName(run.servers)).toMatchObject([both[0]!, { name: 'database' }, both[1]!])
})

test('the fixtures trust the server, and reach it where it is bound', async () => {
  const run = await runVitest('vitest-plugin', { args: ['--config=https.config.ts'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
})

test('a test that asks for the server of no plugin fails', async () => {
  const run = await runVitest('vitest-plugin', { args: ['--config=without.config.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 3 })
  for (const { errors } of run.tests) expect(errors.join()).toContain('[NOT_RUNNING]')
})

test('a page in browser mode reaches the server', async () => {
  const run = await runVitest('vitest-plugin', {
    args: ['--config=browser.config.ts'],
    env: { LAUNCH_OPTIONS: JSON.stringify(launchOptions()) },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 6, failed: 0 })
  expect(run.servers).toMatchObject([{ name: 'server', closed: 'gracefully' }])
})

function byName<T extends { readonly name: string }>(servers: readonly T[]): T[] {
  return servers.toSorted((a, b) => a.name.localeCompare(b.name))
}
