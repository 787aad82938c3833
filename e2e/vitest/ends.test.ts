import { expect, test } from 'vitest'
import { runVitest } from './run.ts'

test('a request in flight at the end is cut off and named', async () => {
  const run = await runVitest('vitest-ends', { files: ['in-flight.test.ts'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
  expect(run.output).toMatch(
    /closed by force after \d+ ms. In its way: GET \/never-answered, unanswered for \d+ ms \(test "[^"]+"\)/,
  )
})

test('a program that does not end is said to be waited for, and killed', async () => {
  const run = await runVitest('vitest-ends', { files: ['stubborn.test.ts'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
  const [, pid] = /stubborn process (\d+)/.exec(run.output) ?? []
  expect(run.output).toContain(`is closing, and waits for its process ${pid} to`)
  expect(run.output).toMatch(
    /server http:\S+ was killed after \d+ ms\. It did not end when it was asked to\./,
  )
})

test.for(['forks', 'threads', 'vmThreads', 'vmForks'])(
  'a close hook that throws fails the run in %s, and the other servers are closed',
  async (pool) => {
    const run = await runVitest('vitest-ends', {
      files: ['close-hook.test.ts'],
      args: [`--pool=${pool}`],
    })

    expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 0 })
    expect(run.output).toMatch(
      /PortzeroError \[CLOSE_FAILED\]: .* a close hook failed: the database is still in use/,
    )
    expect(run.servers).toMatchObject([{ name: 'api', closed: 'gracefully' }, { name: 'server' }])
  },
)

test.for(['forks', 'threads', 'vmThreads', 'vmForks'])(
  'a hook of the file that throws does not keep a server from being closed in %s',
  async (pool) => {
    const run = await runVitest('vitest-ends', {
      files: ['after-all.test.ts'],
      args: [`--pool=${pool}`],
    })

    expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 0 })
    expect(run.output).toContain('Error: the hook of the file')
    expect(run.output).toContain('PortzeroError [CLOSE_FAILED]')
    expect(run.output).toMatch(
      /api http:\S+ was closed by force after \d+ ms. In its way: GET \/never-answered, .* \(test "leaves a request behind"\)/,
    )
    expect(run.servers.map(({ name }) => name).toSorted()).toEqual(['api', 'server'])
  },
)

test('fake timers that a test leaves in place stop neither a limit nor the closing', async () => {
  const run = await runVitest('vitest-fake-timers')

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
  expect(run.output).toMatch(/PortzeroError \[START_TIMEOUT\]: .* did not start within 2\d{3} ms/)
  expect(run.servers).toMatchObject([{ closed: 'gracefully' }])
})

test.for(['forks', 'threads'])(
  'a close hook that throws at the end of a worker in %s that is not isolated is printed',
  async (pool) => {
    const run = await runVitest('vitest-ends', {
      files: ['close-hook.test.ts'],
      args: ['--no-isolate', `--pool=${pool}`],
    })

    // Whether Vitest hears of it in time to fail the run is left to chance.
    expect(run.output).toContain('✓ close-hook.test.ts (1 test)')
    expect(run.output).toMatch(/^portzero: PortzeroError \[CLOSE_FAILED\]: .* still in use/m)
    expect(run.servers).toMatchObject([{ name: 'api', closed: 'gracefully' }, { name: 'server' }])
  },
)

test.for(['forks', 'threads'])('and fails the run in %s where the plugin is', async (pool) => {
  const run = await runVitest('vitest-ends', {
    files: ['close-hook.test.ts'],
    args: ['--config=plugin.config.ts', '--no-isolate', `--pool=${pool}`],
    // Long after Vitest has judged the run.
    env: { CLOSE_MS: '500' },
  })

  expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 0 })
  expect(run.output).toMatch(/^portzero: PortzeroError \[CLOSE_FAILED\]: .* still in use/m)
  expect(run.servers).toMatchObject([{ name: 'api', closed: 'gracefully' }, { name: 'server' }])
})

test('what else a worker throws at its end is for Vitest to judge', async () => {
  const [judged, withPlugin] = await Promise.all(
    ['vitest.config.ts', 'plugin.config.ts'].map((config) =>
      runVitest('vitest-ends', {
        files: ['foreign-teardown.test.ts'],
        args: [`--config=${config}`, '--no-isolate'],
        env: { CLOSE_MS: '500' },
      }),
    ),
  )

  expect(withPlugin).toMatchObject({ exitCode: judged!.exitCode, passed: 1, failed: 0 })
})
