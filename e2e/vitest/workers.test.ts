import { expect, test } from 'vitest'
import { openMeeting } from '../meeting.ts'
import { runVitest } from './run.ts'

test.for(['forks', 'threads', 'vmThreads', 'vmForks'])(
  'every worker in %s has a server of its own',
  async (pool) => {
    await using meeting = await openMeeting(2)

    const run = await runVitest('vitest-workers', {
      args: [`--pool=${pool}`],
      env: { MEETING_URL: meeting.url },
    })

    expect(run).toMatchObject({ exitCode: 0, passed: 6, failed: 0 })
    // By default Vitest has a new worker for each file.
    expect(run.servers).toHaveLength(3)
    expect(run.servers.every(({ closed }) => closed === 'gracefully')).toBe(true)
    expect(new Set(run.servers.map(({ slot }) => slot))).toEqual(new Set([0, 1]))
  },
)

test.for(['forks', 'threads'])(
  'files, extends and definitions of one worker in %s share a server',
  async (pool) => {
    const run = await runVitest('vitest-shared', { args: ['--no-isolate', `--pool=${pool}`] })

    expect(run).toMatchObject({ exitCode: 0, passed: 4, failed: 0 })
    expect(run.servers).toMatchObject([{ slot: 0, closed: 'gracefully' }])
  },
)

test('files that are isolated do not share', async () => {
  const run = await runVitest('vitest-shared', { args: ['--isolate'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 4, failed: 0 })
  expect(run.servers).toHaveLength(4)
})

test('nothing of a server is left open for Vitest to find', async () => {
  const run = await runVitest('vitest-shared', { args: ['--isolate', '--detect-async-leaks'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 4, failed: 0 })
  expect(run.output).not.toContain('leak')
})

test('nothing starts for tests that need no server', async () => {
  const run = await runVitest('vitest-unused')

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).not.toContain('portzero:')
})

test('a failing test leaves its server to the next one', async () => {
  const run = await runVitest('vitest-failing')

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(run.tests[0]!.errors).toEqual([expect.stringContaining("expected 'ok' to be")])
  expect(run.servers).toMatchObject([{ closed: 'gracefully' }])
})
