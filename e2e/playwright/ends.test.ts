import { expect, test } from 'vitest'
import { runPlaywright } from './run.ts'

test('a request in flight at the end is cut off and named', async () => {
  const run = await runPlaywright('playwright-ends', { files: ['in-flight.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0, errors: [] })
  expect(run.output).toMatch(
    /closed by force after \d+ ms. In its way: GET \/never-answered, unanswered for \d+ ms \(test "[^"]+"\)/,
  )
})

test('closing may take longer than a test', async () => {
  const run = await runPlaywright('playwright-ends', {
    files: ['slow-close.spec.ts'],
    env: { PORTZERO_LOG: '1' },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0, errors: [] })
  expect(run.output).toContain('closed gracefully')
})

test('a close hook that throws fails the run', async () => {
  const run = await runPlaywright('playwright-ends', { files: ['close-hook.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 0 })
  expect(run.errors).toEqual([expect.stringContaining('PortzeroError [CLOSE_FAILED]')])
  expect(run.output).toContain('[cause]: Error: the database is still in use')
})

test('a close hook that throws after a failing test is told beside its failure', async () => {
  const run = await runPlaywright('playwright-ends', { files: ['failing.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1, errors: [] })
  expect(run.tests[0]!.errors).toEqual([
    expect.stringContaining('Expected: 500'),
    expect.stringContaining('PortzeroError [CLOSE_FAILED]'),
  ])
})
