import type { WorkerInfo } from '@playwright/test'
import { liveServer } from '@portzero/playwright'
import type { LiveServer } from '@portzero/playwright'
import { PortzeroError } from 'portzero'
import { expect, test } from 'vitest'

const app = { fetch: (): Response => new Response('ok') }

/** A fixture of the worker, as Playwright takes it. */
type WorkerFixture<T> = [
  (args: object, use: (value: T) => Promise<void>, info: WorkerInfo) => Promise<void>,
  { scope: string; timeout: number },
]

/** What `liveServer()` gave, by name. */
function fixturesOf(fixtures: object): Record<string, WorkerFixture<LiveServer>> {
  return fixtures as Record<string, WorkerFixture<LiveServer>>
}

/** Sets a fixture up as Playwright does, runs `body`, and tears it down. */
async function using<T>([fixture]: WorkerFixture<T>, body: (value: T) => unknown): Promise<void> {
  const info = { parallelIndex: 3, workerIndex: 7 } as WorkerInfo
  await fixture({}, async (value) => void (await body(value)), info)
}

/** What knows when a test begins and ends. */
const ofEachTest = [expect.any(Function), { auto: true, box: true, timeout: expect.any(Number) }]

test('gives server and baseURL', () => {
  const fixtures = liveServer(app)

  expect(fixtures).toEqual({
    server: [expect.any(Function), { scope: 'worker', timeout: expect.any(Number) }],
    baseURL: expect.any(Function),
    serverPerTest: ofEachTest,
  })
})

test('gives two fixtures of the worker for a name', () => {
  const fixtures = liveServer(app, { name: 'api' })

  const ofWorker = [expect.any(Function), { scope: 'worker', timeout: expect.any(Number) }]
  expect(fixtures).toEqual({ api: ofWorker, apiURL: ofWorker, apiPerTest: ofEachTest })
})

test.each([
  { options: {}, least: 31_000 },
  { options: { startTimeout: 120_000, grace: 5_000 }, least: 125_000 },
  { options: { startTimeout: undefined, grace: 0 }, least: 30_000 },
])('the time limit is longer than $least ms for $options', ({ options, least }) => {
  const [, { timeout }] = fixturesOf(liveServer(app, options))['server']!

  expect(timeout).toBeGreaterThanOrEqual(least + 60_000)
})

test('the time limit is one that a timer keeps', () => {
  const longest = 2 ** 31 - 1
  const fixtures = liveServer(app, { startTimeout: longest, grace: longest })

  const [, { timeout }] = fixturesOf(fixtures)['server']!

  expect(timeout).toBeLessThan(longest)
})

test('serves while it is in use, and closes then', async () => {
  const { server } = fixturesOf(liveServer(app))
  let url = ''

  await using(server!, async (live) => {
    url = live.url
    expect(await (await fetch(url)).text()).toBe('ok')
  })

  await expect(fetch(url)).rejects.toThrow('fetch failed')
})

test('tells the factory its slot and its worker', async () => {
  const { server } = fixturesOf(
    liveServer(({ slot, workerId }) => ({ fetch: () => Response.json({ slot, workerId }) })),
  )

  await using(server!, async (live) => {
    expect(await (await live.fetch('/')).json()).toEqual({ slot: 3, workerId: '7' })
  })
})

test('both fixtures of a name share one server', async () => {
  const { api, apiURL } = liveServer(app, { name: 'api' }) as unknown as {
    api: WorkerFixture<LiveServer>
    apiURL: WorkerFixture<string>
  }

  await using(api, (server) => using(apiURL, (url) => expect(url).toBe(server.url)))
})

test('two names of one app are two servers', async () => {
  const { one } = fixturesOf(liveServer(app, { name: 'one' }))
  const { two } = fixturesOf(liveServer(app, { name: 'two' }))

  await using(one!, (first) => using(two!, (second) => expect(second.port).not.toBe(first.port)))
})

test.each([
  { target: 42, options: {}, code: 'INVALID_TARGET' },
  { target: app, options: { prot: 3000 }, code: 'UNKNOWN_OPTION' },
  { target: app, options: { slot: 1 }, code: 'UNKNOWN_OPTION' },
  { target: app, options: { grace: '1s' }, code: 'INVALID_OPTION' },
  { target: app, options: { name: 'my api' }, code: 'INVALID_OPTION' },
])('refuses $target with $options at once: $code', ({ target, options, code }) => {
  expect(() => liveServer(target as typeof app, options as object)).toThrow(
    expect.objectContaining({ code }),
  )
})

test('an error shows its code where Playwright shows its name', async () => {
  const { server } = fixturesOf(
    liveServer(() => {
      throw new Error('no database')
    }),
  )

  const start = using(server!, () => {})

  await expect(start).rejects.toThrow(PortzeroError)
  await expect(start).rejects.toMatchObject({
    name: 'PortzeroError [FACTORY_FAILED]',
    code: 'FACTORY_FAILED',
    message: 'The factory failed: no database',
    cause: new Error('no database'),
  })
})

test('a close hook that throws fails the teardown', async () => {
  const { server } = fixturesOf(
    liveServer(({ onClose }) => {
      onClose(() => {
        throw new Error('still in use')
      })
      return app
    }),
  )
  let used = false

  await expect(using(server!, () => (used = true))).rejects.toMatchObject({
    name: 'PortzeroError [CLOSE_FAILED]',
  })
  expect(used).toBe(true)
})

test.each(['Cannot use import statement outside a module', "Unexpected token 'export'"])(
  'tells a CommonJS project what to do about "%s"',
  async (message) => {
    const { server } = fixturesOf(
      liveServer(() => {
        throw new SyntaxError(message)
      }),
    )

    await expect(using(server!, () => {})).rejects.toThrow(
      `The factory failed: ${message}. Where package.json does not say "type": "module"`,
    )
  },
)
