import { expect, test } from 'vitest'
import { runVitest } from './run.ts'

const told =
  /The test "leaves a request running" ended while http:\S+ was still at work on GET \/slow, unanswered for \d+ ms/

const files = ['lingering.test.ts']

test('a request that outlasts its test is told', async () => {
  const run = await runVitest('vitest-lingering', { files, env: { LINGERING: 'warn' } })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).toMatch(told)
})

test('also where the test has silenced the console', async () => {
  const run = await runVitest('vitest-lingering', { files: ['silenced.test.ts'] })
  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
  expect(run.output).toMatch(told)
})

test('or fails it', async () => {
  const run = await runVitest('vitest-lingering', { files, env: { LINGERING: 'fail' } })
  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(run.tests.find(({ status }) => status === 'failed')?.errors.join()).toMatch(told)
})

test('or is waited for', async () => {
  const run = await runVitest('vitest-lingering', { files, env: { LINGERING: 'wait' } })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).not.toContain('ended while')
})

test('so does one that is on its way as its test ends', async () => {
  const run = await runVitest('vitest-lingering', {
    files: ['at-its-end.test.ts'],
    env: { LINGERING: 'fail' },
  })
  expect(run.tests.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    'asks, and ends at once: failed',
    'leaves none: passed',
    'asks on a new connection, and ends at once: failed',
    'leaves none then: passed',
  ])
})

test('a test does not answer for another of the same name', async () => {
  const run = await runVitest('vitest-lingering', {
    files: ['namesakes.test.ts'],
    env: { LINGERING: 'fail' },
  })
  expect(run.tests.map(({ status }) => status)).toEqual(['failed', 'passed'])
})

test('tests that run at the same time do not answer for each other', async () => {
  const run = await runVitest('vitest-lingering', {
    files: ['together.test.ts'],
    env: { LINGERING: 'fail' },
  })
  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
})

test('the last of them answers for all, and names them', async () => {
  const run = await runVitest('vitest-lingering', {
    files: ['together-lost.test.ts'],
    env: { LINGERING: 'fail' },
  })
  expect(run).toMatchObject({ passed: 1, failed: 1 })
  expect(run.tests.flatMap(({ errors }) => errors).join()).toMatch(
    /Tests that ran at the same time \("waits", "does not"\) ended while .* GET \/slow/,
  )
})

test('a test that is over before its server is back does not run on', async () => {
  const run = await runVitest('vitest-lingering', { files: ['mortal.test.ts'] })
  expect(run.output).toContain('Test timed out in 100ms')
  expect(run.tests.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    'kills it: failed',
    'is over before it is back: failed',
    'leaves a request running: failed',
  ])
  expect(run.tests[2]?.errors.join()).toMatch(told)
})

test('what is left on several servers is told as one, after all teardowns', async () => {
  const run = await runVitest('vitest-lingering', { files: ['two-servers.test.ts'] })
  expect(run.tests.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    'leaves a request running on both: failed',
    'fails besides: failed',
    'leaves one once, and is tried again: passed',
    'leaves one, and is skipped: skipped',
    'leaves none: passed',
  ])
  const [both, besides] = run.tests.map(({ errors }) => errors)
  expect(both).toEqual([expect.stringMatching(/GET \/slow\?server-1.*GET \/slow\?api-1/)])
  expect(besides).toEqual([
    expect.stringContaining('its own failure'),
    expect.stringContaining('GET /slow?2'),
  ])
})

test('a test that a hook does not let run answers for what that has asked, and for nothing else', async () => {
  const run = await runVitest('vitest-lingering', {
    files: ['around.test.ts'],
    env: { LINGERING: 'fail' },
  })
  expect(run.tests.map(({ title, status }) => `${title}: ${status}`)).toEqual([
    'is not run: failed',
    'leaves a request running: failed',
    'is not run either: failed',
  ])
  expect(run.tests[1]?.errors.join()).toMatch(told)
  for (const [name, path] of [
    ['is not run', '/slow?first'],
    ['is not run either', '/slow?last'],
  ] as const) {
    expect(run.output.split(`The test "${name}" ended while`)).toHaveLength(2)
    expect(run.output).toContain(`GET ${path}, unanswered`)
  }
})
