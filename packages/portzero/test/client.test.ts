import http from 'node:http'
import { Hono } from 'hono'
import { serve } from 'portzero'
import { DistantServer, addressOf } from 'portzero/shared'
import { request } from 'undici'
import { expect, test, vi } from 'vitest'
import { failure, gate } from './support.ts'

const echo = new Hono().all('*', async (c) =>
  c.json({
    method: c.req.method,
    path: new URL(c.req.url).pathname,
    query: c.req.query(),
    length: c.req.header('content-length') ?? null,
    type: c.req.header('content-type') ?? null,
    header: c.req.header('x-test') ?? null,
    body: await c.req.text(),
  }),
)

type Echo = Record<'method' | 'path' | 'length' | 'type' | 'header' | 'body', string | null> & {
  query: Record<string, string>
}

async function ask(...args: Parameters<Awaited<ReturnType<typeof serve>>['fetch']>): Promise<Echo> {
  await using server = await serve(echo)
  return (await (await server.fetch(...args)).json()) as Echo
}

test('takes a path, a path without a slash, a query, a URL', async () => {
  expect(await ask('/todos?done=1')).toMatchObject({ path: '/todos', query: { done: '1' } })
  expect(await ask('todos')).toMatchObject({ path: '/todos' })
  expect(await ask('')).toMatchObject({ path: '/' })
  await using server = await serve(echo)
  const response = await server.fetch(new URL('/todos', server.url))
  expect(await response.json()).toMatchObject({ path: '/todos' })
})

test('never takes a path for the name of another host', async () => {
  expect(await ask('//example.com/x')).toMatchObject({ path: '//example.com/x' })
})

test('takes a Request', async () => {
  await using server = await serve(echo)
  const init = { method: 'PUT', body: 'text', headers: { 'x-test': 'yes' } }
  const response = await server.fetch(new Request(`${server.url}/put`, init))
  expect(await response.json()).toMatchObject({
    method: 'PUT',
    path: '/put',
    body: 'text',
    header: 'yes',
  })
})

test('a Request may be changed by the init beside it', async () => {
  await using server = await serve(echo)
  const response = await server.fetch(new Request(server.url), { method: 'DELETE' })
  expect(await response.json()).toMatchObject({ method: 'DELETE' })
})

test.each<[string, () => NonNullable<RequestInit['body']>, Partial<Echo>]>([
  ['a string', () => 'text', { body: 'text', length: '4' }],
  ['bytes', () => new TextEncoder().encode('bytes'), { body: 'bytes', length: '5' }],
  [
    'URLSearchParams',
    () => new URLSearchParams({ a: '1' }),
    { body: 'a=1', type: 'application/x-www-form-urlencoded;charset=UTF-8' },
  ],
  ['a Blob', () => new Blob(['blob'], { type: 'text/x' }), { body: 'blob', type: 'text/x' }],
  ['a stream', () => new Blob(['stream']).stream(), { body: 'stream', length: null }],
])('sends %s', async (_what, body, expected) => {
  const init = { method: 'POST', body: body(), duplex: 'half' } as RequestInit
  expect(await ask('/', init)).toMatchObject(expected)
})

test("sends Node's own FormData with a file", async () => {
  const form = new FormData()
  form.set('title', 'a title')
  form.set('file', new File(['content'], 'name.txt'))
  const { body, type } = await ask('/', { method: 'POST', body: form })
  expect(type).toMatch(/^multipart\/form-data; boundary=/)
  expect(body).toContain('a title')
  expect(body).toContain('filename="name.txt"')
  expect(body).toContain('content')
})

test('takes headers as an object, a list and Headers', async () => {
  for (const headers of [
    { 'x-test': 'h' },
    [['x-test', 'h']] as [string, string][],
    new Headers({ 'x-test': 'h' }),
  ]) {
    expect(await ask('/', { headers })).toMatchObject({ header: 'h' })
  }
})

test('can be taken out of the handle', async () => {
  await using server = await serve(echo)
  const { fetch } = server
  expect((await fetch('/')).status).toBe(200)
})

test('keeps connections, over which the dispatcher of other clients goes too', async () => {
  let connections = 0
  const app = http.createServer((_request, response) => void response.end('ok'))
  app.on('connection', () => (connections += 1))
  await using server = await serve(app)
  for (let round = 0; round < 5; round += 1) await (await server.fetch('/')).text()
  const { body } = await request(server.url, { dispatcher: server.dispatcher })
  expect(await body.text()).toBe('ok')
  // A pool may open a second one while the first is being given back.
  expect(connections).toBeLessThanOrEqual(2)
})

test('has one dispatcher, which outlives restarts, and is closed with the server', async () => {
  const server = await serve(echo)
  const { dispatcher } = server
  const plain = dispatcher.compose((dispatch) => (options, handler) => dispatch(options, handler))
  const askOver = async (): Promise<void> =>
    (await request(server.url, { dispatcher: plain })).body.dump()
  let connections = 0
  dispatcher.on('connect', () => (connections += 1))
  await askOver()
  await server.restart()
  await askOver()
  await server.restart({ app: 'rebuild' })
  await (await server.fetch('/')).text()
  expect(connections).toBe(3)
  expect(server.dispatcher).toBe(dispatcher)
  await server.close()
  expect((await failure(askOver())).code).toBe('UND_ERR_DESTROYED')
})

test('reports a server that is closed, not a refused connection', async () => {
  const server = await serve(echo)
  const closing = server.close()
  expect((await failure(server.fetch('/'))).code).toBe('SERVER_CLOSED')
  await closing
  const error = await failure(server.fetch('/'))
  expect(error.code).toBe('SERVER_CLOSED')
  expect(error.message).toContain(server.url)
})

test('can be aborted', async () => {
  await using server = await serve((_request: unknown, _response: unknown) => {}, { grace: 0 })
  const controller = new AbortController()
  const answer = failure(server.fetch('/', { signal: controller.signal }))
  controller.abort()
  expect((await answer).name).toBe('AbortError')
})

test.each(['before', 'after'])(
  'says so of what was aborted %s the server began to close',
  async (when) => {
    const reached = gate()
    const server = await serve((_request: unknown, _response: unknown) => reached.open(), {
      grace: 0,
    })
    const controller = new AbortController()
    const answer = failure(server.fetch('/', { signal: controller.signal }))
    await reached.opened
    if (when === 'before') controller.abort()
    const closing = server.close()
    controller.abort()
    expect((await answer).name).toBe('AbortError')
    await closing
  },
)

test('may have its pool closed by somebody else', async () => {
  const server = await serve(echo)
  await (await server.fetch('/')).text()
  await server.dispatcher.close()
  expect((await server.close()).outcome).toBe('graceful')
})

test('of a server that another process has lets go of what is not answered, and not read', async () => {
  await using server = await serve({
    fetch: ({ url }) =>
      url.endsWith('/never')
        ? new Promise<Response>(() => {})
        : new Response('x'.repeat(10_000_000)),
  })
  const distant = new DistantServer(addressOf(server))
  const given = failure(distant.fetch('/never'))
  await distant.fetch('/unread')
  await distant.close()
  expect((await given).code).toBe('SERVER_CLOSED')
  await vi.waitFor(() => expect(server.inFlight()).toEqual([]))
})
