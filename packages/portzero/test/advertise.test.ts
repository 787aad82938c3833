import https from 'node:https'
import { serve } from 'portzero'
import { expect, test, vi } from 'vitest'
import { publicUrlOf } from '../dist/advertise.js'
import { failure } from './support.ts'

const app = { fetch: (request: Request): Response => new Response(new URL(request.url).host) }

test.each([
  { advertise: 'host.docker.internal', url: 'http://host.docker.internal:4711' },
  { advertise: 'http://host.docker.internal', url: 'http://host.docker.internal:4711' },
  { advertise: 'http://host.docker.internal/', url: 'http://host.docker.internal:4711' },
  { advertise: 'https://app.test', url: 'https://app.test:4711' },
  { advertise: 'https://app.test:443', url: 'https://app.test' },
  { advertise: 'app.test:8080', url: 'http://app.test:8080' },
  { advertise: '192.168.0.7', url: 'http://192.168.0.7:4711' },
  { advertise: 'fd00::7', url: 'http://[fd00::7]:4711' },
  { advertise: 'http://[fd00::7]:80', url: 'http://[fd00::7]' },
])('$advertise makes $url', ({ advertise, url }) => {
  expect(publicUrlOf('http://127.0.0.1:4711', advertise)).toBe(url)
})

test.each(['', 'http://app.test/path', 'ftp://app.test', 'app.test?a', 'a b', 'u@app.test', 7])(
  'refuses %j',
  async (advertise) => {
    const error = await failure(serve(app, { advertise: advertise as string }))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain("'host.docker.internal'")
  },
)

test('a factory is told the advertised URL', async () => {
  let told = ''
  await using server = await serve(
    ({ url }) => {
      told = url
      return app
    },
    { advertise: 'app.invalid' },
  )
  expect(told).toBe(server.url)
})

test('a program is told it as {url}, and the bound address as HOST and PORT', async () => {
  const script =
    "require('http').createServer((q, r) => r.end(process.env[q.url.slice(1)])).listen(process.env.PORT)"
  await using server = await serve(
    { command: [process.execPath, '-e', script], env: { TOLD: '{url}' } },
    { advertise: 'https://app.invalid:443' },
  )
  const env = async (name: string): Promise<string> => (await server.fetch(`/${name}`)).text()
  expect(server.url).toBe('https://app.invalid')
  expect(await env('TOLD')).toBe('https://app.invalid')
  expect(await env('HOST')).toBe('127.0.0.1')
  expect(await env('PORT')).toBe(String(server.port))
})

test('a redirect to the advertised name is followed to the server', async () => {
  await using server = await serve(
    ({ url }) => ({
      fetch: (request: Request) =>
        request.url.endsWith('/there')
          ? new Response('arrived')
          : Response.redirect(`${url}/there`, 302),
    }),
    { advertise: 'app.invalid' },
  )
  expect(await (await server.fetch('/')).text()).toBe('arrived')
})

test.each([undefined, 'process'] as const)(
  'the certificate has the name (isolation %s)',
  async (isolation) => {
    const target = new URL('../../../fixtures/apps/contract/app.js', import.meta.url)
    await using server = await serve(target, { isolation, https: true, advertise: 'app.invalid' })
    expect(server.url).toBe(`https://app.invalid:${server.port}`)
    expect((await server.fetch('/')).status).toBe(200)
    expect((await server.fetch(`${server.url}/`)).status).toBe(200)
    const status = await new Promise((resolve, reject) => {
      const { port, ca } = server
      const options = { host: '127.0.0.1', port, ca, servername: 'app.invalid', agent: false }
      https.get(options, (response) => resolve(response.resume().statusCode)).on('error', reject)
    })
    expect(status).toBe(200)
  },
)

test('a server that other machines can reach is warned of, once', async () => {
  using warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  for (const host of ['127.0.0.1', '::1', 'localhost', '127.0.0.2']) {
    // What cannot be bound here was not warned of either.
    await serve(app, { host }).then(
      (server) => server.close(),
      () => {},
    )
  }
  expect(warn).not.toHaveBeenCalled()
  for (const host of ['0.0.0.0', '::']) {
    await serve(app, { host }).then(
      (server) => server.close(),
      () => {},
    )
  }
  expect(warn).toHaveBeenCalledTimes(1)
  expect(warn).toHaveBeenCalledWith(expect.stringContaining('listens on 0.0.0.0'))
})
