import { expect, test } from 'vitest'
import { runPlaywright } from './run.ts'

const told =
  /The test "leaves a request running" ended while http:\S+ was still at work on GET \/slow, unanswered for \d+ ms/

const files = ['lingering.spec.ts']

test('a request that outlasts its test is told', async () => {
  const run = await runPlaywright('playwright-lingering', { files, env: { LINGERING: 'warn' } })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).toMatch(told)
})

test('or fails it', async () => {
  const run = await runPlaywright('playwright-lingering', { files, env: { LINGERING: 'fail' } })
  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(run.tests.find(({ status }) => status === 'failed')?.errors.join()).toMatch(told)
})

test('or is waited for, which does not count against the time of the test', async () => {
  const run = await runPlaywright('playwright-lingering', {
    files,
    args: ['--timeout=800'],
    env: { LINGERING: 'wait' },
  })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).not.toContain('ended while')
})

test('so does one that is on its way as its test ends', async () => {
  const run = await runPlaywright('playwright-lingering', {
    files: ['at-its-end.spec.ts'],
    env: { LINGERING: 'fail' },
  })
  expect(run.tests.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    'asks, and ends at once: failed',
    'leaves none: passed',
  ])
})

test('what a page asks ends with it, also if it was opened first', async () => {
  const run = await runPlaywright('playwright-lingering', {
    files: ['pages.spec.ts'],
    env: { LINGERING: 'fail' },
    browser: true,
  })
  expect(run.tests.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    'leaves none but that of its page: passed',
  ])
})

test('no test answers for what a hook of its file has asked', async () => {
  const run = await runPlaywright('playwright-lingering', {
    files: ['hooks.spec.ts'],
    env: { LINGERING: 'fail' },
  })
  expect(run.tests.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    'leaves none: passed',
    'leaves one: failed',
  ])
  expect(run.tests.flatMap(({ errors }) => errors)).toEqual([
    expect.stringMatching(/GET \/slow\?own, unanswered for \d+ ms\./),
  ])
  expect(run.output).toMatch(/GET \/slow\?after, unanswered for \d+ ms\./)
})
