import { expect, test } from 'vitest'
import { holdPort } from '../hold-port.ts'
import { kinds, nodeKinds } from '../kinds.ts'
import { openMeeting } from '../meeting.ts'
import { runPlaywright } from './run.ts'

test.for(kinds)('every worker has a $kind of its own', async ({ apps, env, notRun }, { skip }) => {
  skip(notRun !== undefined, notRun)
  await using _held = await holdPort(3000)
  await using meeting = await openMeeting(2)

  const run = await runPlaywright('playwright-apart', {
    files: ['meets'],
    browser: true,
    apps,
    env: { ...env, MEETING_URL: meeting.url, PORTZERO_LOG: '1' },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(new Set(run.tests.map(({ notes }) => notes['url'])).size).toBe(2)
  expect(run.output.match(/server http:\S+ started/g)).toHaveLength(2)
  expect(run.output.match(/server http:\S+ closed gracefully/g)).toHaveLength(2)
})

test.for(nodeKinds)('a test of a $kind that spins times out, and it is killed', async (kind) => {
  const run = await runPlaywright('playwright-apart', { files: ['spins'], ...kind })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1, errors: [] })
  expect(run.tests[0]!.errors[0]).toContain('Test timeout of 1000ms exceeded')
  const [, ms] = /was killed after (\d+) ms/.exec(run.output) ?? []
  // The grace is 300 ms, and the app has four more seconds to spin.
  expect(Number(ms)).toBeLessThan(1_500)
})

test.for(nodeKinds)('a $kind that dies fails the test at once, and tells why', async (kind) => {
  const run = await runPlaywright('playwright-apart', { files: ['dies.spec', 'unasked'], ...kind })

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 2, errors: [] })
  const failed = run.tests.filter(({ status }) => status === 'failed')
  expect(failed).toHaveLength(2)
  for (const { errors } of failed) {
    expect(errors[0]).toContain('SERVER_DIED')
    expect(errors[0]).toMatch(/ended with exit code 7\. Its last output:.*the app is loaded/s)
  }
})
