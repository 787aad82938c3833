import { expect, test } from 'vitest'
import { runVitest } from './run.ts'

test('a global server serves all files, and may take longer to start than a test', async () => {
  const run = await runVitest('vitest-global')

  expect(run).toMatchObject({ exitCode: 0, passed: 4, failed: 0 })
  expect(run.servers).toMatchObject([
    { name: 'api', worker: 'global', closed: 'gracefully' },
    { name: 'server', worker: 'global', closed: 'gracefully' },
  ])
})

test('projects that inherit a globalSetup file share its server', async () => {
  const run = await runVitest('vitest-global', { args: ['--config=inheriting.config.ts'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 4, failed: 0 })
  expect(run.servers).toMatchObject([{ name: 'api' }, { name: 'server' }])
})

test('a global server whose close hook throws fails the run', async () => {
  const run = await runVitest('vitest-global', { args: ['--config=close-hook.config.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 4, failed: 0 })
  expect(run.output).toContain('a close hook failed: the database is still in use')
  expect(run.output).not.toContain('close timed out')
  expect(run.servers).toMatchObject([
    { name: 'api', closed: 'gracefully' },
    { name: 'server', closed: 'gracefully' },
    { name: 'database' },
  ])
})

test('the teardown of another file that throws does not keep them from being closed', async () => {
  const run = await runVitest('vitest-global', { args: ['--config=foreign.config.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 4, failed: 0 })
  expect(run.output).toContain('Error: the teardown of another file')
  expect(run.output).toContain('a close hook failed: the database is still in use')
  expect(run.servers).toMatchObject([
    { name: 'api', closed: 'gracefully' },
    { name: 'server', closed: 'gracefully' },
    { name: 'database' },
    { name: 'plugged', closed: 'gracefully' },
  ])
})

test('a global server that cannot start fails the run', async () => {
  const run = await runVitest('vitest-global', { args: ['--config=throws.config.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 0, servers: [] })
  expect(run.output).toContain('The factory failed: no database')
})
