import { expect, test } from 'vitest'
import { runVitest } from './run.ts'

test('a factory that throws fails the test, and its cause is shown', async () => {
  const run = await runVitest('vitest-starts', { files: ['throws.test.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1, servers: [] })
  expect(run.output).toContain('PortzeroError [FACTORY_FAILED]: The factory failed: no database')
  expect(run.output).toContain('Caused by: Error: connect ECONNREFUSED 127.0.0.1:5432')
})

test('a start that takes too long fails with our own error, before the test times out', async () => {
  const run = await runVitest('vitest-starts', {
    files: ['endless', 'never-ready', 'second', 'silent'],
  })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 4 })
  const errors = Object.fromEntries(run.tests.map((record) => [record.title, record.errors.join()]))
  expect(errors).toEqual({
    'an app that is never ready': expect.stringMatching(/but was not ready within 2\d{3} ms/),
    'an endless factory': expect.stringMatching(/did not start within 2\d{3} ms/),
    'an endless second server': expect.stringMatching(/did not start within 1\d{3} ms/),
    'no app at all': expect.stringMatching(/Nothing listened within 2\d{3} ms/),
  })
  for (const error of Object.values(errors)) {
    expect(error).toContain('is the timeout of the test, 3000 ms')
  }
  expect(run.servers).toMatchObject([{ name: 'slow', closed: 'gracefully' }])
})

test('a start in a hook may take longer than a test', async () => {
  const run = await runVitest('vitest-starts', { files: ['in-a-hook'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
  expect(run.servers).toMatchObject([{ closed: 'gracefully' }])
})
