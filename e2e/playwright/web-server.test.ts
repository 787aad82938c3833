import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { answers } from '../../packages/portzero/test/support.ts'
import { openMeeting } from '../meeting.ts'
import { runProject } from '../run-project.ts'
import { runPlaywright } from './run.ts'
import type { PlaywrightRun } from './run.ts'

const PROJECT = 'playwright-web-server'

/** The ports of the servers that said that they were ready. */
function portsIn({ output }: PlaywrightRun): number[] {
  return [...output.matchAll(/ is ready at https?:\S+:(\d+),/g)].map(([, port]) => Number(port))
}

test('all workers share one server, and its URL is their baseURL', async () => {
  await using meeting = await openMeeting(2)

  const run = await runPlaywright(PROJECT, {
    files: ['shared.spec.ts'],
    env: { MEETING_URL: meeting.url, NAME: 'shared' },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0, errors: [] })
  expect(new Set(run.tests.map(({ workerIndex }) => workerIndex))).toEqual(new Set([0, 1]))
  const [one, two] = run.tests.map(({ notes }) => notes['server'])
  expect(one).toMatch(/^http:\/\/127.0.0.1:\d+ shared \d+$/)
  expect(two).toBe(one)
  // Its log is that of the run, and it is gone with it.
  expect(run.output).toContain('[server] the app is loaded')
  expect(run.output).toContain('[server] GET /')
  const ports = portsIn(run)
  expect(ports).toHaveLength(1)
  expect(await answers(ports[0]!)).toBe(false)
})

test('several start at the same time, each with a URL of its own', async () => {
  // Each goes on when all have begun.
  await using meeting = await openMeeting(3)

  const run = await runPlaywright(PROJECT, {
    args: ['--config=several.config.ts'],
    env: { STARTS: meeting.url },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0, errors: [] })
  for (const name of ['server', 'api', 'adminApi']) {
    expect(run.output.split(`[${name}] the app is loaded`)).toHaveLength(2)
    expect(run.output.split(`[${name}] GET /`).length).toBeGreaterThan(1)
  }
  const ports = portsIn(run)
  expect(new Set(ports).size).toBe(3)
  expect(await Promise.all(ports.map((port) => answers(port)))).toEqual([false, false, false])
})

test('a start that fails ends the run at once, with the reason and the output', async () => {
  const startedAt = performance.now()
  const run = await runPlaywright(PROJECT, { args: ['--config=fails.config.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 0 })
  expect(run.errors).toEqual([expect.stringContaining('was not able to start. Exit code: 1')])
  expect(run.output).toContain('portzero: api did not start.')
  expect(run.output).toContain('PortzeroError [MODULE_FAILED]')
  expect(run.output).toContain('Error: no database')
  // The other one would be waited for ten minutes.
  expect(performance.now() - startedAt).toBeLessThan(60_000)
})

test('a function is refused when the configuration is loaded', async () => {
  const run = await runProject(PROJECT, () => ({
    program: '@playwright/test/cli',
    args: ['test', '--config=refused.config.ts'],
  }))

  expect(run.exitCode).toBe(1)
  expect(run.output).toContain('PortzeroError [INVALID_TARGET]: webServer() starts its server in')
})

test('a list of the tests starts nothing', async () => {
  const run = await runPlaywright(PROJECT, { files: ['log.spec.ts'], args: ['--list'] })

  expect(run.exitCode).toBe(0)
  expect(run.output).not.toContain('the app is loaded')
})

describe('only servers that a selected project needs are started:', () => {
  test.for([
    { args: ['--project=with api'], running: ['api'] },
    { args: ['--project', 'With Web', 'none'], running: ['web', 'web'] },
    { args: ['--project=with*'], running: ['api web', 'api web'] },
    { args: ['--project=none'], running: [''] },
    { args: [], running: Array.from({ length: 4 }, () => 'api web') },
  ])('$args', async ({ args, running }) => {
    const run = await runPlaywright(PROJECT, { args: ['--config=projects.config.ts', ...args] })

    expect(run).toMatchObject({ exitCode: 0, failed: 0, errors: [] })
    expect(run.tests.map(({ notes }) => notes['running'])).toEqual(running)
    expect(portsIn(run)).toHaveLength(new Set(running[0]?.split(' ').filter(Boolean)).size)
  })
})

test('the report of a test that fails has what the server printed meanwhile', async () => {
  const run = await runPlaywright(PROJECT, { files: ['log.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1, errors: [] })
  const [passing, failing] = run.tests
  expect(passing).toMatchObject({ title: 'passes', attachments: {} })
  expect(failing!.attachments).toEqual({ 'server log': 'GET /during?the=test' })
})

test('a server that dies says so in the log', async () => {
  const run = await runPlaywright(PROJECT, { files: ['dies.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1 })
  expect(run.output).toMatch(/portzero: The server at \S+ has died: .* ended with exit code 3/)
  expect(run.tests[0]!.attachments).toEqual({ 'server log': 'GET /\nGET /die' })
})

test('a test that asks for the URL of another server is told why there is none', async () => {
  const run = await runPlaywright(PROJECT, { files: ['missing.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1 })
  expect(run.tests[0]!.errors).toEqual([
    expect.stringContaining(
      "PortzeroError [NO_WEB_SERVER]: There is no web server of the name 'api'",
    ),
  ])
})

test('what keeps a server from closing is named, and so is what was cut off', async () => {
  const run = await runPlaywright(PROJECT, {
    args: ['--config=ends.config.ts'],
    env: { APP: 'asks-itself.js' },
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
  expect(run.output).toMatch(
    /portzero: server http:\S+ is closing, and waits for GET \/never, unanswered for \d+ ms/,
  )
  expect(run.output).toMatch(
    /portzero: server http:\S+ was closed by force after \d+ ms. In its way: GET \/never, unanswered for \d+ ms/,
  )
})

test('a close hook that throws fails the run, and is printed', async () => {
  const run = await runPlaywright(PROJECT, {
    args: ['--config=ends.config.ts'],
    env: { APP: 'throws-on-close.js' },
  })

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 0, errors: [] })
  expect(run.output).toContain(
    'The run fails, though its tests may have passed: server did not end',
  )
  expect(run.output).toMatch(/\[CLOSE_FAILED\]: .* still in use/)
  const [, directory] = /its log in (\S+)/.exec(run.output) ?? []
  expect(existsSync(directory!)).toBe(false)
})
