import { on } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { test as base, expect } from '@playwright/test'
import type { Page } from '@playwright/test'
import { Stage, kinds } from 'fixture-apps/closing'
import { serve } from 'portzero'

// A page of a profile that is kept: only there Chromium opens connections ahead.
const test = base.extend<{ profilePage: Page }>({
  profilePage: async ({ playwright, launchOptions }, use) => {
    // In a temporary folder.
    const context = await playwright.chromium.launchPersistentContext('', launchOptions)
    await use(await context.newPage())
    await context.close()
  },
})

const html = { 'content-type': 'text/html' }

test('connections that the browser opened ahead and never used do not hold up the closing', async ({
  profilePage: page,
}) => {
  const app = createServer((_request, response) => {
    // Without credentials it could not use the connection that it has.
    const link = `<link rel="preconnect" href="${server.url}" crossorigin>`
    response.writeHead(200, html).end(`<title>Preconnects</title>${link}`)
  })
  const sockets = new Set<Socket>()
  app.on('connection', (socket) => sockets.add(socket))
  await using server = await serve(app)
  await page.goto(server.url)
  const silent = (): Socket[] =>
    [...sockets].filter(({ bytesRead, destroyed }) => bytesRead === 0 && !destroyed)
  await expect.poll(() => silent().length).toBeGreaterThan(0)

  const report = await server.close()

  expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
})

test('connections that a page keeps alive do not hold up the closing', async ({ page }) => {
  const images = Array.from({ length: 6 }, (_, index) => `<img src="/${index}.svg">`).join('')
  const app = createServer(({ url }, response) => {
    if (url === '/') response.writeHead(200, html).end(images)
    else response.writeHead(200, { 'content-type': 'image/svg+xml' }).end('<svg/>')
  })
  await using server = await serve(app)
  await page.goto(server.url, { waitUntil: 'load' })

  const report = await server.close()

  expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
  await expect(page.goto(server.url)).rejects.toThrow('ERR_CONNECTION_REFUSED')
})

/** In the page: opens what keeps a server busy, calls the page `open`, and says how all of it ended. */
const watching = `(async () => {
  const preconnect = { rel: 'preconnect', href: location.origin, crossOrigin: 'anonymous' }
  document.head.append(Object.assign(document.createElement('link'), preconnect))
  const socket = new WebSocket('ws://' + location.host + '/socket')
  const source = new EventSource('/events')
  const closed = new Promise((resolve) => {
    socket.addEventListener('close', ({ code }) => resolve(code))
  })
  const ended = new Promise((resolve) => {
    source.addEventListener('error', () => resolve(source.close() ?? 'ended'))
  })
  await new Promise((resolve) => socket.addEventListener('open', resolve))
  await new Promise((resolve) => source.addEventListener('message', resolve))
  document.title = 'open'
  return Promise.all([closed, ended])
})()`

// Those that answer whatever else a browser asks for, such as an icon.
const complete = new Set(['a Hono app with WebSockets', 'an Express app', 'a Fastify instance'])
for (const kind of kinds.filter(({ name }) => complete.has(name))) {
  test(`a page with a WebSocket, an event stream and preconnects sees them end: ${kind.name}`, async ({
    profilePage: page,
  }, testInfo) => {
    await using server = await serve(await kind.create(new Stage()))
    await page.goto(server.url)
    const seen = page.evaluate(watching)
    await expect(page).toHaveTitle('open')

    const report = await server.close()

    expect(await seen).toEqual([1001, 'ended'])
    expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
    testInfo.annotations.push({ type: 'closed in', description: `${report.durationMs} ms` })
  })
}

test('a page gets the whole answer that was under way', async ({ page }) => {
  const app = createServer()
  await using server = await serve(({ signal }) =>
    app.on('request', ({ url }, response) => {
      response.writeHead(200, html)
      if (url !== '/slow') return response.end()
      response.write('first half, ')
      return signal.addEventListener('abort', () => response.end('second half'))
    }),
  )
  await page.goto(server.url)
  const arrived = arrivalOf('/slow', app)
  const answer = page.evaluate(async () => (await fetch('/slow')).text())
  await arrived

  const report = await server.close()

  expect(await answer).toBe('first half, second half')
  expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
})

test('a page can tell that its request was cut off', async ({ page }) => {
  const app = createServer(({ url }, response) => {
    if (url !== '/never-answered') response.writeHead(200, html).end()
  })
  await using server = await serve(app)
  await page.goto(server.url)
  const arrived = arrivalOf('/never-answered', app)
  const answer = page.evaluate(() =>
    fetch('/never-answered').then(
      ({ status }) => `answered ${status}`,
      (error: unknown) => String(error),
    ),
  )
  await arrived

  const report = await server.close({ grace: 100 })

  expect(await answer).toBe('TypeError: Failed to fetch')
  expect(report).toMatchObject({
    outcome: 'forced',
    blockers: [{ kind: 'request', method: 'GET', path: '/never-answered' }],
  })
})

async function arrivalOf(path: string, app: Server): Promise<void> {
  for await (const [request] of on(app, 'request')) {
    if ((request as IncomingMessage).url === path) return
  }
}
