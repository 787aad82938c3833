import http from 'node:http'
import http2 from 'node:http2'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import timers from 'node:timers'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import undici from 'undici'
import { PortzeroError, serve } from 'portzero'
import type { FactoryContext, ListeningApp, LiveServer } from 'portzero'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { answers, clientThatStandsStill, failure, gate, run } from './support.ts'

/** A raw connection that collects what it receives. */
async function connect(
  port: number,
  ...lines: string[]
): Promise<{ send(text: string): void; received(): string; ended: Promise<string> }> {
  const socket = net.connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  let data = ''
  socket.on('data', (chunk) => (data += String(chunk)))
  const ended = new Promise<string>((resolve) => {
    socket.once('end', () => resolve('end'))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.once('close', () => resolve('close'))
  })
  if (lines.length > 0) socket.write(lines.join('\r\n'))
  return { send: (text) => void socket.write(text), received: () => data, ended }
}

/** An app that answers at once, and says how to wait for a number of connections or requests. */
function counting(): {
  listener: http.RequestListener
  server: http.Server
  connections(count: number): Promise<void>
} {
  const listener: http.RequestListener = (_request, response) => void response.end('ok')
  const server = http.createServer(listener)
  let seen = 0
  let check = (): void => {}
  server.on('connection', () => {
    seen += 1
    check()
  })
  const connections = (count: number): Promise<void> =>
    new Promise((resolve) => {
      check = () => void (seen >= count && resolve())
      check()
    })
  return { listener, server, connections }
}

const GRACE = 5_000

/** Clients of this process that keep their connections, and know nothing of the server. */
const keeping: [string, (url: string) => Promise<string>][] = [
  ['fetch', async (url) => (await fetch(url)).text()],
  ['undici', async (url) => (await undici.request(url)).body.text()],
  [
    'http.get()',
    (url) =>
      new Promise((resolve, reject) => {
        const request = http.get(url, (response) => {
          response.setEncoding('utf8').once('data', resolve).resume()
        })
        request.once('error', reject)
      }),
  ],
]

describe('closes at once, without waiting for the grace', () => {
  test.each([
    ['connections that were never used', []],
    ['a half-sent request', ['GET / HTTP/1.1', 'Host: x']],
    ['half of a method', ['GE']],
  ])('%s', async (_what, lines) => {
    const { server: app, connections } = counting()
    const server = await serve(app, { grace: GRACE })
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => connect(server.port, ...lines)),
    )
    await connections(10)
    const report = await server.close()
    expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect(report.durationMs).toBeLessThan(GRACE / 2)
    await Promise.all(clients.map(({ ended }) => ended))
  })

  test('idle keep-alive connections of other clients', async () => {
    const { server: app } = counting()
    const server = await serve(app, { grace: GRACE })
    const agent = new http.Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    await Promise.all(Array.from({ length: 10 }, () => get(server.url, agent)))
    const report = await server.close()
    expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect(report.durationMs).toBeLessThan(GRACE / 2)
  })

  test('its own client, with bodies that nobody has read', async () => {
    const server = await serve(
      { fetch: () => new Response('x'.repeat(1_000_000)) },
      { grace: GRACE },
    )
    const responses = await Promise.all(Array.from({ length: 5 }, () => server.fetch('/')))
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    const report = await server.close()
    expect(report.outcome).toBe('graceful')
    expect(report.durationMs).toBeLessThan(GRACE / 2)
  })
})

test('is not kept by a connection of its own client that has ended, while another is in use', async () => {
  const release = gate()
  const server = await serve(
    async ({ url }: http.IncomingMessage, response: http.ServerResponse) => {
      if (url === '/slow') await release.opened
      response.writeHead(200, { connection: 'close' }).end('ok')
    },
    { grace: GRACE },
  )
  const slow = server.fetch('/slow')
  await (await server.fetch('/')).text()
  const closing = server.close()
  release.open()
  expect((await closing).durationMs).toBeLessThan(GRACE / 2)
  expect(await (await slow).text()).toBe('ok')
})

describe('loses no answer', () => {
  test('that is streamed when closing begins', async () => {
    const [begun, release] = [gate(), gate()]
    const server = await serve(
      async (_request: http.IncomingMessage, response: http.ServerResponse) => {
        response.write('first,')
        begun.open()
        await release.opened
        response.end('last')
      },
    )
    const agent = new http.Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const answer = get(server.url, agent)
    await begun.opened
    const closing = server.close()
    release.open()
    expect((await answer).body).toBe('first,last')
    expect((await closing).outcome).toBe('graceful')
  })

  test('to a request whose client still sends it', async () => {
    const { opened, open } = gate()
    const { opened: sent, open: send } = gate()
    const server = await serve(
      async (_request: http.IncomingMessage, response: http.ServerResponse) => {
        await opened
        response.end('x'.repeat(200_000))
      },
      { grace: GRACE },
    )
    let isAnswered = false
    let chunks = 0
    const body = new ReadableStream({
      async pull(stream) {
        await delay(1)
        if (isAnswered) return stream.close()
        stream.enqueue(new Uint8Array(65_536))
        chunks += 1
        // By far more than is read before it is asked for.
        if (chunks === 16) send()
      },
    })
    const answer = fetch(server.url, { method: 'POST', body, duplex: 'half' })
    await sent

    const closing = server.close()
    while (await answers(server.port));
    open()
    expect((await (await answer).text()).length).toBe(200_000)
    isAnswered = true
    expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
  })

  test('to requests that were pipelined', async () => {
    const [both, release] = [gate(), gate()]
    let requests = 0
    const server = await serve(
      async ({ url }: http.IncomingMessage, response: http.ServerResponse) => {
        requests += 1
        if (requests === 3) both.open()
        await release.opened
        response.end(url)
      },
    )
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
    const client = await connect(server.port, request('/one') + request('/two') + request('/three'))
    await both.opened
    const closing = server.close()
    while (await answers(server.port));
    release.open()
    expect((await closing).outcome).toBe('graceful')
    await client.ended
    expect(client.received().match(/\/(?:one|two|three)/g)).toEqual(['/one', '/two', '/three'])
  })

  test('to what a client pipelines behind a request that is answered', async () => {
    const [slow, quick, late] = [gate(), gate(), gate()]
    const [both, isAnswered] = [gate(), gate()]
    const server = await serve(
      async ({ url }: http.IncomingMessage, response: http.ServerResponse) => {
        if (url === '/quick') both.open()
        if (url === '/late') late.open()
        await { '/slow': slow, '/quick': quick }[url ?? '']?.opened
        response.end(url)
        if (url === '/quick') isAnswered.open()
      },
    )
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
    const client = await connect(server.port, request('/slow') + request('/quick'))
    await both.opened
    const closing = server.close()
    while (await answers(server.port));
    quick.open()
    await isAnswered.opened
    client.send(request('/late'))
    await late.opened
    slow.open()
    expect((await closing).outcome).toBe('graceful')
    await client.ended
    expect(client.received().match(/\/(?:slow|quick|late)/g)).toEqual(['/slow', '/quick', '/late'])
  })

  test.each(['an unused pool', 'a pool in use', 'a pool that has rested'])(
    'to what its own client was asked to send just before, over %s',
    async (pool) => {
      const server = await serve({ fetch: () => new Response('ok') })
      if (pool !== 'an unused pool') await (await server.fetch('/')).text()
      if (pool === 'a pool that has rested') await new Promise((resolve) => setTimeout(resolve, 40))
      const sent = Array.from({ length: 5 }, async () => (await server.fetch('/')).text())
      const report = await server.close()
      expect(await Promise.all(sent)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok'])
      expect(report.outcome).toBe('graceful')
    },
  )

  test.each([
    ['its own client', ({ fetch }: LiveServer) => fetch('/')],
    ['another client', ({ url }: LiveServer) => undici.fetch(url)],
  ])('to all that %s has just sent, though the app takes a while for each', async (_what, ask) => {
    const server = await serve((_request: unknown, response: http.ServerResponse) => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
      response.end('ok')
    })
    // One that is open already: while nobody is connected, nothing is waited for.
    await connect(server.port)
    const sent = Array.from({ length: 12 }, async () => (await ask(server)).text())
    await new Promise((resolve) => setImmediate(resolve))
    const report = await server.close()
    expect(await Promise.all(sent)).toEqual(sent.map(() => 'ok'))
    expect(report.outcome).toBe('graceful')
  })

  test.each(keeping)(
    'to what %s was asked just before, over a connection that has rested',
    async (_what, client) => {
      const server = await serve({ fetch: () => new Response('ok') })
      await client(server.url)
      await new Promise((resolve) => setTimeout(resolve, 40))
      const asked = client(server.url)
      expect((await server.close()).outcome).toBe('graceful')
      expect(await asked).toBe('ok')
    },
  )

  test('to what a client sends on a connection that it has just used', async () => {
    const server = await serve(
      (_request: unknown, response: http.ServerResponse) => void response.end('ok'),
    )
    const socket = net.connect(server.port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
    socket.write(request)
    await new Promise((resolve) => socket.once('data', resolve))
    const closing = server.close()
    socket.write(request)
    const answer = await new Promise<string>((resolve) =>
      socket.once('data', (data) => resolve(String(data))),
    )
    expect(answer).toMatch(/^HTTP\/1.1 200 OK[^]*ok/i)
    expect((await closing).outcome).toBe('graceful')
  })
})

test('tells a client that sends body after body to an app which answers before it has them', async () => {
  const server = await serve(
    (_request: unknown, response: http.ServerResponse) => void response.end('ok'),
    { grace: GRACE },
  )
  const socket = net.connect(server.port, '127.0.0.1').setEncoding('latin1')
  onTestFinished(() => void socket.destroy())
  const [asked, answered] = [gate(), gate()]
  let sent = 0
  const send = (): void => {
    sent += 1
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody')
    if (sent > 3) asked.open()
  }
  socket.once('connect', send).on('data', (data) => {
    if (/^connection: close/im.test(String(data))) answered.open()
    else send()
  })
  await asked.opened

  const report = await server.close()
  await answered.opened
  expect(report.outcome).toBe('graceful')
  expect(report.durationMs).toBeLessThan(GRACE / 2)
})

describe('a client of HTTP/2 that has yet to read a large answer', () => {
  const BYTES = 1_000_000

  test.each([
    ['that is just being given', async () => {}],
    [
      'that was given a while ago',
      async (server: LiveServer) => {
        await server.idle()
        await delay(100)
      },
    ],
  ])('%s gets it, and is named meanwhile', async (_what, wait) => {
    const app = http2.createServer((_request, response) => void response.end(Buffer.alloc(BYTES)))
    const server = await serve(app, { grace: GRACE })
    const { read, goOn } = await clientThatStandsStill(server.url)
    await wait(server)

    const closing = server.close()
    await delay(100)
    expect(server.inFlight()).toMatchObject([{ kind: 'request', method: 'GET', path: '/' }])
    goOn()
    expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect(await read).toContain(BYTES)
  })

  test('makes Node warn of no negative delay', async () => {
    const app = http2.createServer((_request, response) => void response.end(Buffer.alloc(BYTES)))
    const server = await serve(app, { grace: GRACE })
    const { goOn } = await clientThatStandsStill(server.url)
    await server.idle()
    await delay(100)

    const set = vi.spyOn(timers, 'setTimeout')
    syncBuiltinESMExports()
    onTestFinished(() => {
      set.mockRestore()
      syncBuiltinESMExports()
    })
    const closing = server.close()
    await delay(100)
    goOn()
    expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect(set.mock.calls.filter(([, ms = 0]) => ms < 0)).toEqual([])
  })
})

test('tells a client of a request in flight that the connection will close', async () => {
  const [reached, release] = [gate(), gate()]
  const server = await serve(
    async (_request: http.IncomingMessage, response: http.ServerResponse) => {
      reached.open()
      await release.opened
      response.end('ok')
    },
  )
  const agent = new http.Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const answer = get(server.url, agent)
  await reached.opened
  const closing = server.close()
  // Until nothing new is accepted, an answer is given as if there were no closing.
  while (await answers(server.port));
  release.open()
  expect((await answer).headers.connection).toBe('close')
  await closing
})

test('cuts off with a reset, and never with an answer', async () => {
  const reached = gate()
  const server = await serve((_request: unknown, _response: unknown) => reached.open(), {
    grace: 20,
  })
  const client = await connect(server.port, 'GET /hang HTTP/1.1', 'Host: x', '', '')
  await reached.opened
  const report = await server.close()
  expect(await client.ended).toBe('ECONNRESET')
  expect(client.received()).toBe('')
  expect(report.outcome).toBe('forced')
})

test('a connection that the app hands in meanwhile, and that says nothing, is not in its way', async () => {
  const [reached, release] = [gate(), gate()]
  const app = http.createServer((_request, response) => {
    reached.open()
    void release.opened.then(() => response.end('ok'))
  })
  const front = net.createServer((socket) => app.emit('connection', socket))
  onTestFinished(() => void front.close())
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
  const { port } = front.address() as net.AddressInfo
  const server = await serve(app, { grace: GRACE })
  const answer = server.fetch('/')
  await reached.opened
  const closing = server.close()
  while (await answers(server.port));

  const silent = await connect(port)
  const asking = await connect(port, 'GET / HTTP/1.1', 'Host: x', '', '')
  expect(await silent.ended).toBe('end')
  release.open()
  expect(await (await answer).text()).toBe('ok')
  expect(await asking.ended).toBe('end')
  expect(asking.received()).toMatch(/^connection: close\r$.*ok$/ims)
  const report = await closing
  expect(report.outcome).toBe('graceful')
  expect(report.durationMs).toBeLessThan(GRACE / 2)
})

test('a request whose client has gone is not in its way', async () => {
  const [reached, gone] = [gate(), gate()]
  const server = await serve(
    (request: http.IncomingMessage, _response: unknown) => {
      request.socket.once('close', gone.open)
      reached.open()
    },
    { grace: GRACE },
  )
  const controller = new AbortController()
  const answer = server.fetch('/', { signal: controller.signal }).catch(() => 'aborted')
  await reached.opened
  controller.abort()
  expect(await answer).toBe('aborted')
  await gone.opened
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
})

test('takes the grace from its own options, then from those of serve()', async () => {
  const reached = gate()
  const server = await serve((_request: unknown, _response: unknown) => reached.open(), {
    grace: 60_000,
  })
  const answer = server.fetch('/').catch(() => 'cut off')
  await reached.opened
  expect((await server.close({ grace: 0 })).outcome).toBe('forced')
  expect(await answer).toBe('cut off')
})

test('frees the port for the next server', async () => {
  const first = await serve(counting().listener)
  await first.fetch('/')
  await first.close()
  await using second = await serve(counting().listener, { port: first.port })
  expect(second.port).toBe(first.port)
})

test('closes when the block of an `await using` is left, also by a throw', async () => {
  let port = 0
  const error = await failure(
    (async () => {
      await using server = await serve(counting().listener)
      port = server.port
      throw new Error('from the block')
    })(),
  )
  expect(error.message).toBe('from the block')
  expect(await answers(port)).toBe(false)
})

describe('close hooks', () => {
  test('run after the last answer, the app first, then the last added', async () => {
    const [reached, release] = [gate(), gate()]
    const order: string[] = []
    const server = await serve(({ onClose, signal }) => {
      signal.addEventListener('abort', () => order.push('signal'))
      onClose(() => order.push('first added'))
      onClose(async () => order.push('last added'))
      const app = Fastify()
      app.get('/', async () => {
        reached.open()
        await release.opened
        order.push('answer')
        return 'ok'
      })
      app.addHook('onClose', async () => void order.push('app'))
      return app
    })
    const answer = server.fetch('/')
    await reached.opened
    const closing = server.close()
    release.open()
    expect((await answer).status).toBe(200)
    await closing
    expect(order).toEqual(['signal', 'answer', 'app', 'last added', 'first added'])
  })

  test('that throw fail the closing, after all is closed', async () => {
    const ran: string[] = []
    const server = await serve(({ onClose }) => {
      onClose(() => ran.push('one'))
      onClose(() => {
        throw new Error('the database is gone')
      })
      onClose(async () => Promise.reject(new Error('so is the queue')))
      return counting().listener
    })
    const error = await failure(server.close())
    expect(error).toBeInstanceOf(PortzeroError)
    expect(error.code).toBe('CLOSE_FAILED')
    expect(error.message).toContain('the database is gone')
    expect(error.message).toContain('so is the queue')
    expect(error.report).toMatchObject({ outcome: 'graceful' })
    expect(ran).toEqual(['one'])
    expect(await answers(server.port)).toBe(false)
    expect(await failure(server.close())).toBe(error)
  })

  test('that hang are left behind, and named', async () => {
    const ran: string[] = []
    const server = await serve(
      ({ onClose }) => {
        onClose(() => ran.push('one'))
        onClose(() => new Promise(() => {}))
        return counting().listener
      },
      { grace: 20 },
    )
    const report = await server.close()
    expect(report).toMatchObject({
      outcome: 'forced',
      blockers: [{ kind: 'hook', method: 'onClose' }],
    })
    expect(ran).toEqual(['one'])
  })

  test('of its own server are called once, when connections at rest are closed', async () => {
    const { server: app, connections } = counting()
    const sockets: net.Socket[] = []
    const heard: boolean[] = []
    app.on('connection', (socket) => sockets.push(socket))
    app.on('close', () => heard.push(sockets.every(({ destroyed }) => destroyed)))
    const server = await serve(app)
    const clients = await Promise.all([1, 2, 3].map(() => connect(server.port)))
    await connections(3)
    expect((await server.close()).outcome).toBe('graceful')
    expect(heard).toEqual([true])
    await Promise.all(clients.map(({ ended }) => ended))
    expect(heard).toEqual([true])
  })

  test.for<[string, (app: http.Server, close: Hook, context: FactoryContext) => ListeningApp]>([
    ['of the app', (app, close) => ({ listen: app.listen.bind(app), close })],
    [
      'of an app that shows it',
      (app, close) => ({ server: app, listen: app.listen.bind(app), close }),
    ],
    ['of its factory', (app, close, { onClose }) => (onClose(close), app)],
  ])('%s find its server listening, and may close it', async ([, build]) => {
    const app = http.createServer(counting().listener)
    const found: unknown[] = []
    app.on('close', () => found.push('closed'))
    const close = async (): Promise<void> => {
      found.push(app.listening, app.address())
      await promisify(app.close.bind(app))()
      found.push(app.listening, app.address())
    }
    const server = await serve((context) => build(app, close, context))
    await server.fetch('/')
    await server.restart()
    expect(found).toEqual([])
    expect((await server.close()).outcome).toBe('graceful')
    const address = { address: server.host, family: 'IPv4', port: server.port }
    expect(found).toEqual([true, address, 'closed', false, null])
  })

  test('that close the server, and do not wait, are told once', async () => {
    const app = http.createServer(counting().listener)
    let closed = 0
    app.on('close', () => (closed += 1))
    const close = (): unknown => app.close()
    const server = await serve(() => ({ server: app, listen: app.listen.bind(app), close }))
    await server.fetch('/')
    await server.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(closed).toBe(1)
  })
})

test.each(['', "request.once('close', () => app.close())"])(
  'what a listener for the end of its server throws is the error of the app, not in the way of the closing',
  async (closesItself) => {
    const { stdout } = await run(`
      import http from 'node:http'
      import { serve } from 'portzero'
      process.on('uncaughtException', ({ message }) => console.log(message))
      const app = http.createServer((request, response) => {
        ${closesItself}
        response.end('ok')
      })
      app.on('close', () => { throw new Error('a listener') })
      const server = await serve(app)
      await server.fetch('/')
      const { outcome, blockers } = await server.close()
      console.log(outcome, blockers)
    `)
    expect(stdout.split('\n').toSorted().join(' ').trim()).toBe('a listener graceful []')
  },
)

type Hook = () => Promise<void>

function get(
  url: string,
  agent: http.Agent,
): Promise<{ body: string; headers: http.IncomingHttpHeaders }> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent }, (response) => {
        let body = ''
        response.on('data', (chunk) => (body += String(chunk)))
        response.on('end', () => resolve({ body, headers: response.headers }))
      })
      .on('error', reject)
  })
}
