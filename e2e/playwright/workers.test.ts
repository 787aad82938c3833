import { expect, test } from 'vitest'
import { openMeeting } from '../meeting.ts'
import { runPlaywright } from './run.ts'
import type { TestRecord } from './run.ts'

test('every worker has a server of its own, for all of its tests', async () => {
  await using meeting = await openMeeting(2)

  const { exitCode, passed, failed, tests, output } = await runPlaywright('playwright-workers', {
    env: { MEETING_URL: meeting.url, PORTZERO_LOG: '1' },
  })

  expect({ exitCode, passed, failed }).toEqual({ exitCode: 0, passed: 4, failed: 0 })
  expect(new Set(tests.map(({ workerIndex }) => workerIndex))).toEqual(new Set([0, 1]))
  expect(new Set(tests.map(urlOf)).size).toBe(2)
  expect(new Set(tests.map((record) => `${record.workerIndex} ${urlOf(record)}`)).size).toBe(2)
  expect(output.match(/server http:\S+ started/g)).toHaveLength(2)
  expect(output.match(/server http:\S+ closed gracefully/g)).toHaveLength(2)
})

test('a failing test restarts its worker, with a new server in the same slot', async () => {
  const run = await runPlaywright('playwright-failing')

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1, errors: [] })
  expect(run.tests).toMatchObject([
    { title: 'fails', status: 'failed', workerIndex: 0, parallelIndex: 0 },
    { title: 'comes after it', status: 'passed', workerIndex: 1, parallelIndex: 0 },
  ])
  expect(run.tests[0]!.errors).toEqual([expect.stringContaining('"workerId": "none"')])
})

test('every Playwright project has servers of its own, whatever baseURL the configuration has', async () => {
  await using meeting = await openMeeting(2)

  const run = await runPlaywright('playwright-projects', { env: { MEETING_URL: meeting.url } })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(new Set(run.tests.map(({ projectName }) => projectName))).toEqual(
    new Set(['left', 'right']),
  )
  expect(new Set(run.tests.map(urlOf)).size).toBe(2)
})

test('nothing starts for tests that need no server', async () => {
  const run = await runPlaywright('playwright-unused', { env: { PORTZERO_LOG: '1' } })

  expect(run).toMatchObject({ exitCode: 0, passed: 3, failed: 0 })
  expect(run.output).not.toContain('portzero:')
})

function urlOf({ notes }: TestRecord): string | undefined {
  return notes['url']
}
