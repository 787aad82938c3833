import { expect, test } from 'vitest'
import { holdPort } from '../hold-port.ts'
import { openMeeting } from '../meeting.ts'
import { runVitest } from './run.ts'

test('an app that listens on a taken port by itself runs in two workers', async () => {
  await using _held = await holdPort(3000)
  await using meeting = await openMeeting(2)

  const run = await runVitest('vitest-self-start', { env: { MEETING_URL: meeting.url } })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.servers).toHaveLength(2)
})

test('servers stand side by side, and one may know the URL of another', async () => {
  const run = await runVitest('vitest-named')

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.servers).toMatchObject([
    { name: 'api', closed: 'gracefully' },
    { name: 'server', closed: 'gracefully' },
  ])
})
