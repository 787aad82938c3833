import { expect, test } from 'vitest'
import { holdPort } from '../hold-port.ts'
import { kinds, nodeKinds } from '../kinds.ts'
import { openMeeting } from '../meeting.ts'
import { runVitest } from './run.ts'

test.for(kinds)('every worker has a $kind of its own', async ({ apps, env, notRun }, { skip }) => {
  skip(notRun !== undefined, notRun)
  await using _held = await holdPort(3000)
  await using meeting = await openMeeting(2)

  const run = await runVitest('vitest-apart', {
    files: ['one', 'two'],
    apps,
    env: { ...env, MEETING_URL: meeting.url },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.servers).toHaveLength(2)
  expect(run.servers.every(({ closed }) => closed === 'gracefully')).toBe(true)
  expect(new Set(run.servers.map(({ slot }) => slot))).toEqual(new Set([0, 1]))
})

test.for(kinds)('all workers share a global $kind', async ({ apps, env, notRun }, { skip }) => {
  skip(notRun !== undefined, notRun)
  await using _held = await holdPort(3000)
  await using meeting = await openMeeting(2)

  const run = await runVitest('vitest-apart', {
    args: ['--config=global.config.ts'],
    apps,
    env: { ...env, MEETING_URL: meeting.url },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.servers).toMatchObject([{ worker: 'global', closed: 'gracefully' }])
})

test.for(nodeKinds)('a test of a $kind that spins times out, and it is killed', async (kind) => {
  const run = await runVitest('vitest-apart', { files: ['spins'], ...kind })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1 })
  expect(run.output).toContain('Test timed out in 1000ms')
  const [, ms] = /was killed after (\d+) ms/.exec(run.output) ?? []
  // The grace is 300 ms, and the app has four more seconds to spin.
  expect(Number(ms)).toBeLessThan(1_500)
})

test.for(nodeKinds)('a $kind that dies fails the test at once, and tells why', async (kind) => {
  const run = await runVitest('vitest-apart', { files: ['dies'], ...kind })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 3 })
  for (const { errors } of run.tests) {
    expect(errors[0]).toContain('SERVER_DIED')
    expect(errors[0]).toMatch(/ended with exit code 7\. Its last output:.*the app is loaded/s)
  }
})
