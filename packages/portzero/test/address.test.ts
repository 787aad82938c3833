import { networkInterfaces } from 'node:os'
import { serve } from 'portzero'
import { expect, test } from 'vitest'
import { failure } from './support.ts'

const app = { fetch: (request: Request) => new Response(request.url) }

async function expectUrl(host: string, named: string): Promise<void> {
  await using server = await serve(app, { host })
  expect(server.url).toBe(`http://${named}:${server.port}`)
  expect(server.host).toBe(host)
  expect(await (await server.fetch('/x')).text()).toBe(`${server.url}/x`)
}

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['localhost', 'localhost'],
  ['0.0.0.0', '127.0.0.1'],
])('bound to %s, the URL names %s', expectUrl)

const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
const hasIpv6 = addresses.some(({ family }) => family === 'IPv6')

test.skipIf(!hasIpv6).each([
  ['::1', '[::1]'],
  ['::', '[::1]'],
])('bound to %s, the URL names %s (needs a machine with IPv6)', expectUrl)

test('the factory knows the URL before the app exists', async () => {
  let told: unknown
  await using server = await serve(
    (context) => {
      told = { ...context }
      return app
    },
    { slot: 3, workerId: 'seven' },
  )
  expect(told).toMatchObject({ url: server.url, port: server.port, slot: 3, workerId: 'seven' })
})

test('a request sent before the app exists waits, and is answered', async () => {
  let early: Promise<Response> | undefined
  await using server = await serve(async ({ url }) => {
    early = fetch(`${url}/early`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    return app
  })
  expect(await (await early)?.text()).toBe(`${server.url}/early`)
})

test('a client that gives up before the app exists does no harm', async () => {
  await using server = await serve(async ({ url }) => {
    await failure(fetch(url, { signal: AbortSignal.timeout(10) }))
    return app
  })
  expect((await server.fetch('/')).status).toBe(200)
})

test('a request sent to a start that fails is refused, not left waiting', async () => {
  let early: Promise<unknown> | undefined
  await failure(
    serve(async ({ url }) => {
      early = failure(fetch(url))
      await new Promise((resolve) => setTimeout(resolve, 10))
      throw new Error('no')
    }),
  )
  expect(await early).toBeInstanceOf(Error)
})

test('a given port is taken', async () => {
  const { port } = await (async () => {
    await using probe = await serve(app)
    return probe
  })()
  await using server = await serve(app, { port })
  expect(server.port).toBe(port)
})
