import { test as base } from '@playwright/test'
import type { APIRequestContext, Page } from '@playwright/test'
import { liveServer } from '@portzero/playwright'
import type { LiveServer } from '@portzero/playwright'

declare function same<Expected>(): <Got>(
  value: Got,
  ...difference: [Got, Expected] extends [Expected, Got] ? [] : [expected: Expected]
) => void

const app = { fetch: (): Response => new Response() }

const test = base.extend(liveServer(app))
test('server and baseURL', ({ server, baseURL, page, request }) => {
  same<LiveServer>()(server)
  same<string>()(baseURL)
  same<Page>()(page)
  same<APIRequestContext>()(request)
  // @ts-expect-error: there is none
  void server.address
})
test.beforeAll(({ server }) => same<LiveServer>()(server))
test.use({ baseURL: 'http://elsewhere.test' })
// @ts-expect-error: no such fixture
test('unknown', ({ serverURL }) => void serverURL)

const api = liveServer(app, { name: 'api' })
const two = base.extend(api).extend(liveServer(app, { grace: 10 }))
two('in a chain', ({ server, baseURL, api: other, apiURL }) => {
  same<LiveServer>()(server)
  same<LiveServer>()(other)
  same<string>()(baseURL)
  same<string>()(apiURL)
})

const named = base.extend(liveServer(app, { name: 'api' }))
named('with a name alone', ({ api: other, apiURL, baseURL }) => {
  same<LiveServer>()(other)
  same<string>()(apiURL)
  same<string | undefined>()(baseURL)
})
// @ts-expect-error: it has another name
named('server', ({ server }) => void server)

const more = base.extend(liveServer(app)).extend<{ title: string }, { seed: number }>({
  title: async ({ server, page }, use) => {
    await page.goto(server.url)
    await use(await page.title())
  },
  seed: [async ({ server }, use) => use(server.port), { scope: 'worker' }],
})
more('own fixtures beside it', ({ title, seed, server }) => {
  same<string>()(title)
  same<number>()(seed)
  same<LiveServer>()(server)
})

liveServer(() => import('node:http'))
liveServer(async ({ url, slot, workerId, signal, onClose, use }) => {
  same<string>()(url)
  same<number>()(slot)
  same<string>()(workerId)
  same<AbortSignal>()(signal)
  onClose(() => {})
  same<LiveServer>()(await use(api))
  return app
})
liveServer(new URL('./app.js', import.meta.url))

// @ts-expect-error: no target
liveServer()
// @ts-expect-error: no app
liveServer(42)
// @ts-expect-error: a handler is no factory
liveServer((request: Request) => new Response(request.url))
// @ts-expect-error: unknown option
liveServer(app, { prot: 3000 })
// @ts-expect-error: wrong type
liveServer(app, { grace: '1s' })
// @ts-expect-error: Playwright's to say
liveServer(app, { slot: 1 })
// @ts-expect-error: Playwright's to say
liveServer(app, { workerId: 'one' })
