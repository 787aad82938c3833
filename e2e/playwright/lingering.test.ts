import { expect, test } from 'vitest'
import { runPlaywright } from './run.ts'

const told =
  /The test "leaves a request running" ended while http:\S+ was still at work on GET \/slow, unanswered for \d+ ms/

test('a request that outlasts its test is told', async () => {
  const run = await runPlaywright('playwright-lingering', { env: { LINGERING: 'warn' } })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).toMatch(told)
})

test('or fails it', async () => {
  const run = await runPlaywright('playwright-lingering', { env: { LINGERING: 'fail' } })
  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(run.tests.find(({ status }) => status === 'failed')?.errors.join()).toMatch(told)
})

test('or is waited for', async () => {
  const run = await runPlaywright('playwright-lingering', { env: { LINGERING: 'wait' } })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).not.toContain('ended while')
})
