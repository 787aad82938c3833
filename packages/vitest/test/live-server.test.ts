import { describe, expect, test as base } from 'vitest'
import { liveServer } from '@portzero/vitest'
import type { SharedContext } from '@portzero/vitest'

const app = { fetch: (): Response => new Response('ok') }

// Vitest takes fixtures that outlive a test at the top level of a file only.
const test = base.extend(
  liveServer(({ url, slot, workerId }: SharedContext) => ({
    fetch: () => Response.json({ url, slot, workerId }),
  })),
)
const extended = test.extend<{ path: string }>({ path: '/todos' })
const shared = liveServer(app, { name: 'shared' })
const first = base.extend(shared)
const second = base.extend(shared)
const sameTarget = base.extend(liveServer(app, { name: 'shared' }))
const otherOptions = base.extend(liveServer(app, { name: 'other', grace: 10 }))

describe('the fixtures', () => {
  test('are the handle and its URL', async ({ server, baseURL }) => {
    expect(server.url).toBe(baseURL)
    expect(baseURL).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect((await server.fetch('/')).status).toBe(200)
  })

  test('tell the factory of its place', async ({ server, baseURL }) => {
    expect(await (await server.fetch('/')).json()).toEqual({
      url: baseURL,
      slot: Number(process.env['VITEST_POOL_ID']) - 1,
      workerId: process.env['VITEST_WORKER_ID'],
    })
  })

  extended('are those of the test that is extended', async ({ baseURL, server, path }) => {
    expect(server.url).toBe(baseURL)
    expect(await (await server.fetch(path)).json()).toMatchObject({ url: baseURL })
  })
})

describe('one server', () => {
  const urls: string[] = []

  first('serves a first extend', ({ sharedURL }) => {
    expect(urls.push(sharedURL)).toBe(1)
  })

  second('and a second', ({ shared: { url } }) => {
    expect(urls.push(url)).toBe(2)
  })

  sameTarget('and other fixtures of the same target', ({ sharedURL }) => {
    expect(urls).toEqual([sharedURL, sharedURL])
  })

  otherOptions('but none with other options', ({ otherURL }) => {
    expect(urls).toHaveLength(2)
    expect(urls).not.toContain(otherURL)
  })
})

describe('what Vitest reads of it', () => {
  const fixtures: Record<string, unknown> = liveServer(app, { name: 'api' })

  base('is a pair for each name', () => {
    // Each file has a worker of its own here, and the end of the file is where Vitest heeds a teardown.
    const pair = [expect.any(Function), { scope: 'file' }]
    const ofEachTest = [expect.any(Function), { auto: true }]
    expect(fixtures).toEqual({ api: pair, apiURL: pair, 'api per test': ofEachTest })
  })

  base.for(['api', 'apiURL'])('is the pattern of the first parameter of %s', (name) => {
    const [fixture] = fixtures[name] as [() => unknown]
    expect(String(fixture)).toMatch(/^async \(\{\s*\}, use\) =>/)
  })
})

describe('it refuses at once', () => {
  base.for([
    ['a target of no known kind', 42, {}, 'INVALID_TARGET', /^Cannot serve the number 42/],
    ['an option of no known name', app, { prot: 1 }, 'UNKNOWN_OPTION', /liveServer\(\).*'prot'/],
    ['what Vitest tells', app, { slot: 1 }, 'UNKNOWN_OPTION', /liveServer\(\).*'slot'/],
    ['a name that is none', app, { name: 'my api' }, 'INVALID_OPTION', /'name'.*"my api"/],
    ['a grace beyond that of Vitest', app, { grace: 25_001 }, 'INVALID_OPTION', /'grace'.*25000/],
  ] as const)('%s', ([, target, options, code, message]) => {
    const call = (): unknown => liveServer(target as typeof app, options as { grace: number })
    expect(call).toThrow(expect.objectContaining({ code }))
    expect(call).toThrow(message)
  })

  base('and accepts a grace that fits', () => {
    expect(() => liveServer(app, { name: 'slow', grace: 25_000 })).not.toThrow()
  })
})
