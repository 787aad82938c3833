import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import tls from 'node:tls'
import { promisify } from 'node:util'
import express from 'express'
import Fastify from 'fastify'
import { answersNothing, certificate, samples } from 'fixture-apps'
import { Hono } from 'hono'
import Koa from 'koa'
import { serve } from 'portzero'
import type { LiveServer, ServeOptions, Target } from 'portzero'
import { request as requestOverUndici } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { failure, gate } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)

/** Those that bring a certificate of their own, and keep it. */
const SECURE = new Set(['an https server', 'a secure http2 server'])
/** Speaks HTTP/2 and nothing else. */
const ONLY_HTTP2 = 'an http2 server'
/** Those that HTTP/2 can be added to, or that speak it by themselves. */
const CAN_HTTP2 = new Set([
  'a Hono app',
  'an h3 app',
  'a Koa app',
  'koa.callback()',
  'a Node request listener',
  ONLY_HTTP2,
  'a secure http2 server',
  'a factory of a module namespace',
])

const MODULE = new URL('../../../fixtures/apps/contract/app.js', import.meta.url)
const RESTARTS = (['inline', 'thread', 'process'] as const).flatMap((isolation) => [
  ['keep', isolation] as const,
  ['rebuild', isolation] as const,
])

const encrypted = samples.filter(({ name }) => !SECURE.has(name))
const canHttp2 = samples.filter(({ name }) => CAN_HTTP2.has(name))
const cannotHttp2 = samples.filter(({ name }) => !CAN_HTTP2.has(name))

/** The body of `path` at a server, by a client that knows nothing of portzero. */
function get(url: string, options: https.RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    https
      .get(url, { agent: false, ...options }, (response) => {
        let body = ''
        response.on('data', (chunk) => (body += String(chunk)))
        response.on('end', () => resolve(body))
      })
      .on('error', reject)
  })
}

/** A connection that has done its TLS handshake. */
async function handshake(
  { port, ca }: LiveServer,
  ALPNProtocols: string[] = ['http/1.1'],
): Promise<tls.TLSSocket> {
  const socket = tls.connect({ host: '127.0.0.1', port, ca, ALPNProtocols })
  onTestFinished(() => void socket.destroy())
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject)
  })
  return socket
}

/** What a server chooses to speak with a client that can do both, or this alone. */
async function chosen(server: LiveServer, ...protocols: string[]): Promise<unknown> {
  const socket = await handshake(server, protocols.length > 0 ? protocols : ['h2', 'http/1.1'])
  socket.destroy()
  return socket.alpnProtocol
}

describe('https', () => {
  test.each(encrypted)('encrypts $name', async ({ name, says, target }) => {
    await using server = await serve(await target(answersNothing), { https: true })
    expect(server.url).toBe(`https://127.0.0.1:${server.port}`)
    expect(server.ca).toMatch(/^-----BEGIN CERTIFICATE-----\n[^]+\n-----END CERTIFICATE-----\n$/)
    expect(await (await server.fetch('/')).text()).toBe(says)
    const echo = await server.fetch('/echo', { method: 'POST', body: 'a body' })
    expect(await echo.text()).toBe('a body')
    const speaks = name === ONLY_HTTP2 ? 'h2' : 'http/1.1'
    expect(await chosen(server)).toBe(speaks)
  })

  test.each(samples.filter(({ name }) => SECURE.has(name)))(
    'leaves $name its own certificate',
    async ({ says, target }) => {
      await using server = await serve(await target(answersNothing), { https: true })
      expect(server.url).toBe(`https://127.0.0.1:${server.port}`)
      expect(server.ca).toBeUndefined()
      expect(await (await server.fetch('/')).text()).toBe(says)
    },
  )

  test('is told to the factory, before there is an app', async () => {
    let told = ''
    let early: Promise<string> | undefined
    await using server = await serve(
      async ({ url }) => {
        told = url
        early = get(url, { rejectUnauthorized: false })
        await new Promise((resolve) => setTimeout(resolve, 20))
        return new Hono().get('/', (c) => c.text(c.req.url))
      },
      { https: true },
    )
    expect(told).toBe(server.url)
    expect(await early).toBe(`${server.url}/`)
  })

  test.each<[string, Target]>([
    ['Hono', new Hono().get('/', (c) => c.text(new URL(c.req.url).protocol))],
    ['Express', () => express().get('/', (q, response) => void response.send(`${q.protocol}:`))],
    [
      'Fastify',
      () => {
        const app = Fastify()
        app.get('/', async ({ protocol }) => `${protocol}:`)
        return app
      },
    ],
    ['Koa', () => new Koa().use((context) => void (context.body = `${context.protocol}:`))],
    [
      'a server of its own',
      () =>
        void http
          .createServer(({ socket }, response) => {
            response.end('encrypted' in socket ? 'https:' : 'http:')
          })
          .listen(3000),
    ],
  ])('is what %s says that the protocol is', async (_name, target) => {
    await using server = await serve(target, { https: true })
    expect(await (await server.fetch('/')).text()).toBe('https:')
  })

  test('is ready when the path answers', async () => {
    await using server = await serve(
      new Hono().get('/up', (c) => c.text('up')),
      {
        https: true,
        ready: '/up',
      },
    )
    expect((await server.fetch('/up')).status).toBe(200)
  })

  test('is off by default', async () => {
    await using server = await serve(new Hono())
    expect(server.url).toMatch(/^http:/)
    expect(server.ca).toBeUndefined()
  })

  test('takes TLS only', async () => {
    await using server = await serve(new Hono(), { https: true })
    await expect(fetch(server.url.replace('https', 'http'))).rejects.toThrow('fetch failed')
    expect((await server.fetch('/')).status).toBe(404)
  })

  test('of a server that listens elsewhere too is not its other address', async () => {
    const own = http.createServer((_request, response) => void response.end('ok')).listen(0)
    await new Promise((resolve) => own.once('listening', resolve))
    const { port } = own.address() as net.AddressInfo
    await using server = await serve(own, { https: true })
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe('ok')
    expect(await (await server.fetch('/')).text()).toBe('ok')
  })

  test('is taken from a server when it is closed', async () => {
    const own = http.createServer((_request, response) => void response.end('ok'))
    await (await serve(own, { https: true })).close()
    await using server = await serve(own)
    expect(server.url).toMatch(/^http:/)
    expect(await (await fetch(server.url)).text()).toBe('ok')
  })

  test.each(RESTARTS)('outlives a restart that does "%s", %s', async (app, isolation) => {
    await using server = await serve(MODULE, { https: true, isolation })
    const { url, ca } = server
    await server.restart({ app })
    expect(await get(url, { ca })).toContain('answered')
    expect((await server.fetch('/')).status).toBe(200)
    expect(server.ca).toBe(ca)
  })
})

describe('the certificate', () => {
  const app = new Hono().get('/', (c) => c.text('ok'))

  test.each(['localhost', '127.0.0.1'])('stands for %s', async (name) => {
    await using server = await serve(app, { https: true, host: name })
    expect(await get(`https://${name}:${server.port}`, { ca: server.ca })).toBe('ok')
    expect(await (await server.fetch('/')).text()).toBe('ok')
  })

  test.each(['localhost', '127.0.0.1', '0.0.0.0'])(
    'names all that it may be reached by at %s',
    async (host) => {
      await using server = await serve(app, { https: true, host })
      const peer = (await handshake(server)).getPeerX509Certificate()
      const named = ['localhost', '127.0.0.1', '::1', host].filter(
        (name) => peer?.checkHost(name) ?? peer?.checkIP(name),
      )
      expect(named).toEqual(['localhost', '127.0.0.1', '::1', host])
    },
  )

  test('is trusted by a process that has the authority in NODE_EXTRA_CA_CERTS', async () => {
    await using server = await serve(app, { https: true })
    const file = join(await temporaryFolder(), 'ca.pem')
    await writeFile(file, server.ca ?? '')
    const program = `fetch('${server.url}').then((response) => response.text()).then(console.log)`
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: file }
    const { stdout } = await run(process.execPath, ['--eval', program], { env })
    expect(stdout).toBe('ok\n')
  })

  test('is not trusted without the authority, and the server lives on', async () => {
    await using server = await serve(app, { https: true })
    const error = await failure(get(server.url, {}))
    expect(error.code).toMatch(/^(?:UNABLE_TO_|SELF_SIGNED_CERT)/)
    expect(await (await server.fetch('/')).text()).toBe('ok')
  })

  test('is not trusted for another name', async () => {
    await using server = await serve(app, { https: true })
    const error = await failure(get(server.url, { ca: server.ca, servername: 'example.com' }))
    expect(error.code).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
  })

  test('of every server of a process is signed by one authority', async () => {
    await using one = await serve(app, { https: true })
    await using two = await serve(app, { https: true, host: 'localhost' })
    await using three = await serve(MODULE, { https: true, isolation: 'process' })
    expect([two.ca, three.ca]).toEqual([one.ca, one.ca])
  })

  test('of another server is not trusted by server.fetch', async () => {
    const other = await certificate()
    await using server = await serve(
      ({ socket }: http.IncomingMessage, response: http.ServerResponse) => {
        const { server: itself } = socket as unknown as { server: tls.Server }
        itself.setSecureContext(other)
        response.end('ok')
      },
      { https: true, http2: true },
    )
    expect(await get(server.url, { ca: server.ca })).toBe('ok')
    const error = await failure(server.fetch('/'))
    expect(error.cause).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  })

  test('is trusted by other clients over the dispatcher, also by another name', async () => {
    await using server = await serve(
      new Hono()
        .get('/', (c) => c.text('ok'))
        .get('/away', (c) => c.redirect(`https://localhost:${new URL(c.req.url).port}/`)),
      { https: true },
    )
    const { body } = await requestOverUndici(server.url, { dispatcher: server.dispatcher })
    expect(await body.text()).toBe('ok')
    expect(await (await server.fetch('/away')).text()).toBe('ok')
  })
})

describe('http2', () => {
  test.each(canHttp2)(
    'with https, is chosen by clients of $name',
    async ({ name, says, target }) => {
      await using server = await serve(await target(answersNothing), { https: true, http2: true })
      expect(await (await server.fetch('/')).text()).toBe(says)
      const echo = await server.fetch('/echo', { method: 'POST', body: 'a body' })
      expect(await echo.text()).toBe('a body')
      if (SECURE.has(name)) return
      expect(await chosen(server)).toBe('h2')
      if (name === ONLY_HTTP2) return
      expect(await chosen(server, 'http/1.1')).toBe('http/1.1')
      expect(await get(server.url, { ca: server.ca })).toBe(says)
    },
  )

  test.each(canHttp2.filter(({ name }) => !SECURE.has(name)))(
    'without https, is all that $name speaks',
    async ({ says, target }) => {
      await using server = await serve(await target(answersNothing), { http2: true })
      expect(server.url).toMatch(/^http:/)
      expect(await (await server.fetch('/')).text()).toBe(says)
      expect(await overHttp2(server)).toBe(says)
    },
  )

  test.each(cannotHttp2)('is refused to $name', async ({ target }) => {
    const app = await target(answersNothing)
    const error = await failure(serve(app, { https: true, http2: true }))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toMatch(/'http2'.*HTTP\/1\.1 only.*Hono.*http2: true.*Express/)
  })

  test('is spoken by server.fetch', async () => {
    const versions: string[] = []
    const listener = (
      { httpVersion }: http.IncomingMessage,
      response: http.ServerResponse,
    ): void => {
      versions.push(httpVersion)
      response.end()
    }
    for (const options of [{}, { https: true }, { http2: true }, { https: true, http2: true }]) {
      await using server = await serve(listener, options)
      await server.fetch('/')
    }
    expect(versions).toEqual(['1.1', '1.1', '2.0', '2.0'])
  })

  test('is spoken by a Fastify instance that was made for it', async () => {
    const create = () => {
      const app = Fastify({ http2: true })
      app.get('/', async ({ protocol, raw }) => `${protocol} ${raw.httpVersion}`)
      return app
    }
    await using clear = await serve(create, { http2: true })
    expect(await (await clear.fetch('/')).text()).toBe('http 2.0')
    await using server = await serve(create, { https: true, http2: true })
    expect(await (await server.fetch('/')).text()).toBe('https 2.0')
  })
})

type Listener = (request: http.IncomingMessage, response: http.ServerResponse) => unknown

const CLOSING: [string, ServeOptions, (listener: Listener) => Target][] = [
  ['https', { https: true }, (listener) => listener as Target],
  ['https and http2', { https: true, http2: true }, (listener) => listener as Target],
  [
    'https of a server of its own',
    { https: true },
    (listener) => () => {
      http.createServer((request, response) => void listener(request, response)).listen(3000)
    },
  ],
]

describe.each(CLOSING)('closing with %s', (_name, options, targetOf) => {
  test('lets a request in flight finish', async () => {
    const [reached, release] = [gate(), gate()]
    const server = await serve(
      targetOf(async (_request, response) => {
        response.write('first,')
        reached.open()
        await release.opened
        response.end('last')
      }),
      options,
    )
    const ours = server.fetch('/').then((response) => response.text())
    await reached.opened
    const theirs = get(server.url, { ca: server.ca })
    while (server.inFlight().length < 2) await new Promise((resolve) => setImmediate(resolve))
    const closing = server.close()
    release.open()
    expect(await ours).toBe('first,last')
    expect(await theirs).toBe('first,last')
    expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
  })

  test('cuts off what outlasts the grace, and names it', async () => {
    const reached = gate()
    const server = await serve(
      targetOf((_request, _response) => reached.open()),
      { ...options, grace: 30 },
    )
    const answer = server.fetch('/wait?for=ever').then(
      () => 'answered',
      () => 'cut off',
    )
    await reached.opened
    const report = await server.close()
    expect(await answer).toBe('cut off')
    expect(report).toMatchObject({
      outcome: 'forced',
      blockers: [{ kind: 'request', method: 'GET', path: '/wait?for=ever' }],
    })
    expect(report.durationMs).toBeLessThan(500)
  })

  test('does not wait for connections that say nothing, with or without a handshake', async () => {
    const server = await serve(
      targetOf((_request, response) => void response.end()),
      {
        ...options,
        grace: 5_000,
      },
    )
    const silent = net.connect(server.port, '127.0.0.1')
    onTestFinished(() => void silent.destroy())
    await new Promise((resolve) => silent.once('connect', resolve))
    await handshake(server)
    const report = await server.close()
    expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect(report.durationMs).toBeLessThan(2_500)
  })
})

test('a WebSocket over TLS is told that the server goes away', async () => {
  const own = http.createServer().on('upgrade', (_request, socket) => {
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    socket.on('data', () => socket.end())
  })
  const server = await serve(own, { https: true, grace: 5_000 })
  const client = await handshake(server)
  const received = (): Promise<Buffer> => new Promise((resolve) => client.once('data', resolve))
  const lines = ['GET /socket HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade']
  client.write(`${lines.join('\r\n')}\r\n\r\n`)
  expect(String(await received())).toContain('101 Switching Protocols')
  const closing = server.close()
  const frame = await received()
  expect(frame.readUInt16BE(2)).toBe(1001)
  client.end(frame)
  expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
})

/** The body of `/` by a client that speaks HTTP/2 in clear text. */
async function overHttp2({ url }: LiveServer): Promise<string> {
  const session = http2.connect(url)
  onTestFinished(() => session.destroy())
  return text(session.request({ ':path': '/' }))
}
