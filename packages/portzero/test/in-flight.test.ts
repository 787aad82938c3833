import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { certificate } from 'fixture-apps'
import { serve } from 'portzero'
import type { InFlight, ServeOptions, Target } from 'portzero'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { failure, gate } from './support.ts'

/** The first byte of a connection that is to be encrypted. */
const HANDSHAKE = 22

/** Two streams, of which each gives what is written to the other. */
function duplexPair(): [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        other().push(chunk)
        done()
      },
      final(done) {
        other().push(null)
        done()
      },
    })
  const one: Duplex = make(() => two)
  const two: Duplex = make(() => one)
  return [one, two]
}

type Listener = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
) => void | Promise<void>

/** An app whose requests to `/held…` are answered when `release` is called. */
function holding(): { app: Listener; reached: Promise<void>; release(): void } {
  const [reached, released] = [gate(), gate()]
  const app: Listener = async (request, response) => {
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
      response.write('data: 1\n\n')
      reached.open()
      return
    }
    if (request.url?.startsWith('/held') === true) {
      response.write('begun')
      reached.open()
      await released.opened
    }
    response.end()
  }
  return { app, reached: reached.opened, release: released.open }
}

test('lets an app answer a request that a test of it has made up, without a connection', async () => {
  const app = http.createServer((request, response) => void response.end(request.url))
  await using server = await serve(app)
  const answer = { end: vi.fn<(body: string) => void>() }

  app.emit('request', { url: '/made-up' }, answer)

  expect(answer.end).toHaveBeenCalledWith('/made-up')
  expect(server.inFlight()).toEqual([])
})

test('says what is in flight, and how far it came', async () => {
  const { app, reached, release } = holding()
  await using server = await serve(app)
  expect(server.inFlight()).toEqual([])
  const answer = server.fetch('/held?a=1', { method: 'PUT' }).then((response) => response.text())
  await reached
  const [held, ...others] = server.inFlight()
  expect(held).toEqual({
    kind: 'request',
    method: 'PUT',
    path: '/held?a=1',
    ageMs: expect.any(Number),
    bytesSent: expect.any(Number),
  })
  expect(held?.bytesSent).toBeGreaterThan('begun'.length)
  expect(others).toEqual([])
  release()
  await answer
  await server.idle()
  expect(server.inFlight()).toEqual([])
})

const beginnings: [string, (response: http.ServerResponse) => void | Promise<void>][] = [
  ['at once', (response) => void response.writeHead(200).write('begun')],
  ['with a head that is flushed', (response) => response.writeHead(200).flushHeaders()],
  [
    'with a head that waits',
    (response) => {
      response.writeHead(200)
      setImmediate(() => response.write('begun'))
    },
  ],
  ['later', (response) => void setImmediate(() => response.write('begun'))],
]

const wires: [string, ServeOptions, (port: number) => net.Socket][] = [
  ['in clear text', {}, (port) => net.connect(port, '127.0.0.1')],
  ['over TLS', { https: true }, (port) => tls.connect({ port, rejectUnauthorized: false })],
]

describe.each(wires)('counts the bytes of an answer alone, %s,', (_wire, options, connect) => {
  test.each(beginnings)('on a connection with others, begun %s', async (_how, begin) => {
    await using server = await serve(
      (request: http.IncomingMessage, response: http.ServerResponse) => {
        if (request.url === '/held') void begin(response)
        else response.end('ok')
      },
      options,
    )
    const socket = connect(server.port).setEncoding('latin1')
    let received = ''
    socket.on('data', (chunk) => (received += String(chunk)))
    const ask = async (path: string, method = 'GET'): Promise<void> => {
      received = ''
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`)
      await once(socket, 'data')
    }
    await ask('/other')
    await ask('/other', 'POST')
    await ask('/other')
    await ask('/held')
    expect(server.inFlight()).toMatchObject([{ path: '/held', bytesSent: received.length }])
    socket.destroy()
  })

  test('on a new connection, before it has begun', async () => {
    const reached = gate()
    // What opens the connection is sent after it is asked for the first time.
    const app = (_request: unknown, _response: unknown): void => void setImmediate(reached.open)
    await using server = await serve(app, options)
    const socket = connect(server.port)
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await reached.opened
    expect(server.inFlight()).toMatchObject([{ bytesSent: 0 }])
    socket.destroy()
  })
})

test('counts the bytes of each answer to pipelined requests alone', async () => {
  const [first, second] = [gate(), gate()]
  await using server = await serve(
    async (request: http.IncomingMessage, response: http.ServerResponse) => {
      response.write('begun')
      await (request.url === '/first' ? first : second).opened
      response.end()
    },
  )
  const socket = net.connect(server.port, '127.0.0.1').setEncoding('latin1')
  let received = ''
  socket.on('data', (chunk) => (received += String(chunk)))
  for (const path of ['/first', '/second', '/third'])
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await vi.waitFor(() => {
    expect(received).toContain('begun')
    expect(server.inFlight()).toMatchObject([
      { path: '/first', bytesSent: received.length },
      { path: '/second', bytesSent: 0 },
      { path: '/third', bytesSent: 0 },
    ])
  })

  received = ''
  first.open()
  const END = '0\r\n\r\n'
  await vi.waitFor(() => {
    expect(received).toContain('begun')
    const sent = received.length - END.length
    expect(server.inFlight()).toMatchObject([
      { path: '/second', bytesSent: sent },
      { path: '/third', bytesSent: 0 },
    ])
  })
  second.open()
  socket.destroy()
})

test('counts a request once behind which its connection becomes something else', async () => {
  const app = http.createServer((_request, _response) => {})
  app.on('upgrade', (_request, socket: net.Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  })
  await using server = await serve(app, { grace: 0 })
  const socket = net.connect(server.port, '127.0.0.1').setEncoding('latin1')
  socket.write('GET /held HTTP/1.1\r\nHost: x\r\n\r\n')
  socket.write('GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
  const [accepted] = (await once(socket, 'data')) as [string]
  const inFlight = [{ path: '/held' }, { path: '/upgrade', bytesSent: accepted.length }]
  expect(server.inFlight()).toMatchObject(inFlight)
  expect(server.inFlight()).toMatchObject(inFlight)
  socket.destroy()
})

test('counts the bytes of an answer alone that is given in a tunnel', async () => {
  const app = http.createServer((_request, response) => void response.write('begun'))
  app.on('connect', (_request, socket: net.Socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    app.emit('connection', socket)
  })
  await using server = await serve(app)
  const socket = net.connect(server.port, '127.0.0.1').setEncoding('latin1')
  socket.write('CONNECT other:80 HTTP/1.1\r\nHost: other:80\r\n\r\n')
  const [opened] = (await once(socket, 'data')) as [string]
  socket.write('GET /held HTTP/1.1\r\nHost: other\r\n\r\n')
  const [begun] = (await once(socket, 'data')) as [string]
  expect(server.inFlight()).toMatchObject([
    { method: 'CONNECT', bytesSent: opened.length + begun.length },
    { path: '/held', bytesSent: begun.length },
  ])
  socket.destroy()
})

test('counts pipelined requests, and forgets them all when their client aborts', async () => {
  const three = gate()
  let seen = 0
  await using server = await serve((_request: http.IncomingMessage, _response: unknown) => {
    seen += 1
    if (seen === 3) three.open()
  })
  const socket = net.connect(server.port, '127.0.0.1')
  socket.write('GET /p HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3))
  await three.opened
  expect(server.inFlight().map(({ path }) => path)).toEqual(['/p', '/p', '/p'])
  socket.resetAndDestroy()
  await server.idle()
  expect(server.inFlight()).toEqual([])
})

test('an answer that is given at once is in flight until it is handed over, and not after', async () => {
  const big = Buffer.alloc(32 * 1024 * 1024)
  let within: readonly InFlight[] = []
  await using server = await serve(
    (request: http.IncomingMessage, response: http.ServerResponse) => {
      within = server.inFlight()
      response.end(request.url === '/big' ? big : 'ok')
    },
  )
  await (await server.fetch('/small')).text()
  expect(within).toMatchObject([{ path: '/small' }])
  expect(server.inFlight()).toEqual([])

  const slow = net.connect(server.port, '127.0.0.1').pause()
  slow.write('GET /big HTTP/1.1\r\nHost: x\r\n\r\n')
  await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path: '/big' }]))
  expect(server.inFlight()[0]?.bytesSent).toBeGreaterThan(0)
  let idle = false
  const waiting = server.idle().then(() => (idle = true))
  await (await server.fetch('/small')).text()
  expect(idle).toBe(false)
  slow.resume()
  await waiting
  expect(server.inFlight()).toEqual([])
  slow.destroy()
})

test('an answer is in flight until it is handed over, also where the app holds back what is written', async () => {
  const [given, release] = [gate(), gate()]
  const server = await serve((_request: unknown, response: http.ServerResponse) => {
    const { socket } = response
    if (socket === null) return
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
    socket.write = (...args: unknown[]) => {
      void release.opened.then(() => write(...args))
      return true
    }
    response.end('ok')
    given.open()
  })
  const client = net.connect(server.port, '127.0.0.1')
  onTestFinished(() => void client.destroy())
  client.write('GET /held HTTP/1.1\r\nHost: x\r\n\r\n')
  await given.opened
  expect(server.inFlight()).toMatchObject([{ path: '/held' }])

  const closing = server.close()
  await delay(100)
  release.open()
  expect(await text(client)).toMatch(/ok$/)
  expect(await closing).toMatchObject({ outcome: 'graceful' })
})

test('a request that is answered is not kept with its connection', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let asked: WeakRef<http.IncomingMessage> | undefined
  await using server = await serve(
    (request: http.IncomingMessage, response: http.ServerResponse) => {
      asked = new WeakRef(request)
      response.end('ok')
    },
  )
  const socket = net.connect(server.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  await vi.waitFor(() => {
    collect()
    expect(asked?.deref()).toBeUndefined()
  })
  socket.destroy()
})

test('what the app answers an upgrade by is no request, on a connection that had one', async () => {
  const httpServer = http.createServer((_request, response) => void response.end('ok'))
  httpServer.on('upgrade', (request, socket: net.Socket) => {
    new http.ServerResponse(request).assignSocket(socket)
    socket.once('end', () => socket.destroy()).resume()
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n',
    )
  })
  await using server = await serve(httpServer)
  const socket = net.connect(server.port, '127.0.0.1')
  socket.write('GET /before HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  socket.write('GET /other HTTP/1.1\r\nHost: x\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n')
  await once(socket, 'data')
  expect(server.inFlight()).toMatchObject([{ kind: 'upgrade', path: '/other' }])
  socket.destroy()
})

test('a request is over whose socket the app has taken to answer by itself', async () => {
  await using server = await serve(
    (request: http.IncomingMessage, response: http.ServerResponse) => {
      response.detachSocket(request.socket)
      request.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    },
  )
  const socket = net.connect(server.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  expect(server.inFlight()).toEqual([])
  expect(await server.close()).toMatchObject({ outcome: 'graceful' })
  socket.destroy()
})

test('a connection that the app hands to another server is followed there', async () => {
  const { app, reached, release } = holding()
  const other = http.createServer((request, response) => void app(request, response))
  const httpServer = http.createServer()
  httpServer.removeAllListeners('connection')
  httpServer.on('connection', (socket) => other.emit('connection', socket))
  const server = await serve(httpServer)
  const client = net.connect(server.port, '127.0.0.1')
  onTestFinished(() => void client.destroy())
  client.write('GET /held HTTP/1.1\r\nHost: x\r\n\r\n')
  await reached
  expect(server.inFlight()).toMatchObject([{ kind: 'request', method: 'GET', path: '/held' }])
  const closing = server.close()
  await delay(100)
  release()
  expect(await text(client)).toMatch(/begun[^]*\r\n0\r\n\r\n$/)
  expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
})

test('a connection may be any stream', async () => {
  const { app, reached, release } = holding()
  const httpServer = http.createServer((request, response) => void app(request, response))
  const server = await serve(httpServer)
  const [near, far] = duplexPair()
  httpServer.emit('connection', far)
  near.write('GET /held HTTP/1.1\r\nHost: x\r\n\r\n')
  await reached
  expect(server.inFlight()).toMatchObject([{ path: '/held', bytesSent: 0 }])
  const closing = server.close()
  release()
  expect(await text(near)).toMatch(/^HTTP\/1.1 200 OK.*begun/s)
  expect(await closing).toMatchObject({ outcome: 'graceful' })
})

test.each(['clear', 'encrypted'])(
  'a connection that the app looks into, and hands in again, is followed once: %s',
  async (what) => {
    const { app, reached, release } = holding()
    const httpServer = http.createServer((request, response) => void app(request, response))
    const secure = tls.createServer(await certificate(), (socket) => {
      httpServer.emit('connection', socket)
    })
    const serveHttp = httpServer.listeners('connection')[0] as (socket: net.Socket) => void
    const seen = new WeakSet<net.Socket>()
    httpServer.off('connection', serveHttp).on('connection', (socket) => {
      if (seen.has(socket) || socket instanceof tls.TLSSocket) {
        return serveHttp.call(httpServer, socket)
      }
      seen.add(socket)
      socket.once('data', (first) => {
        socket.pause().unshift(first)
        const front = first[0] === HANDSHAKE ? secure : httpServer
        front.emit('connection', socket)
        process.nextTick(() => socket.resume())
      })
    })
    const server = await serve(httpServer)
    const to = { port: server.port, host: '127.0.0.1', rejectUnauthorized: false }
    const client = what === 'clear' ? net.connect(to) : tls.connect(to)
    onTestFinished(() => void client.destroy())
    client.write('GET /held HTTP/1.1\r\nHost: x\r\n\r\n')
    await reached
    const closing = server.close()
    setTimeout(release, 20)
    expect(await text(client)).toMatch(/begun\r\n0\r\n\r\n$/)
    expect(await closing).toMatchObject({ outcome: 'graceful', blockers: [] })
  },
)

test('a connection that a server had before it was served is followed from its next request on', async () => {
  const { app, reached } = holding()
  const own = http.createServer((request, response) => void app(request, response))
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve))
  const client = net.connect((own.address() as net.AddressInfo).port, '127.0.0.1')
  onTestFinished(() => void client.destroy())
  const received = text(client)
  const ask = (path: string): boolean => client.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const answered = new Promise((resolve) => client.once('data', resolve))
  ask('/')
  await answered
  const server = await serve(own, { grace: 5_000 })
  ask('/events')
  await reached
  expect(server.inFlight()).toMatchObject([{ kind: 'stream', path: '/events' }])
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(await received).toMatch(/data: 1\n\n\r\n0\r\n\r\n$/)
})

describe('idle()', () => {
  test('waits for what is in flight', async () => {
    const { app, reached, release } = holding()
    await using server = await serve(app)
    const answer = server.fetch('/held')
    await reached
    let idle = false
    const waiting = server.idle().then(() => (idle = true))
    await new Promise((resolve) => setImmediate(resolve))
    expect(idle).toBe(false)
    release()
    await (await answer).text()
    await waiting
    expect(idle).toBe(true)
  })

  test('waits as long as it is told, also the longest time that there is', async () => {
    const { app, reached, release } = holding()
    await using server = await serve(app)
    const answer = server.fetch('/held')
    await reached
    const waiting = server.idle({ timeout: 2 ** 31 - 1 })
    setTimeout(release, 20)
    await expect(waiting).resolves.toBeUndefined()
    await (await answer).text()
  })

  test('gives up, and names what is in flight', async () => {
    const { app, reached, release } = holding()
    await using server = await serve(app)
    const answer = server.fetch('/held')
    await reached
    const error = await failure(server.idle({ timeout: 20 }))
    expect(error.code).toBe('NOT_IDLE')
    expect(error.message).toMatch(/within 20 ms: GET \/held, unanswered for \d+ ms/)
    release()
    await (await answer).text()
  })

  test('names what its own client was asked to send, and has not sent yet', async () => {
    await using server = await serve(holding().app, { grace: 0 })
    let giveUp = (): void => {}
    const body = new ReadableStream({
      start: (stream) => void (giveUp = () => stream.error(new Error('enough'))),
    })
    const upload = new Request(`${server.url}/upload`, { method: 'POST', body, duplex: 'half' })
    const asked = failure(server.fetch(upload))
    const error = await failure(server.idle({ timeout: 20 }))
    expect(error.code).toBe('NOT_IDLE')
    expect(error.message).toMatch(/within 20 ms: POST \/upload, unanswered for \d+ ms/)
    expect(server.inFlight()).toEqual([])
    giveUp()
    await asked
  })

  test('does not wait for event streams', async () => {
    const { app, reached } = holding()
    await using server = await serve(app)
    const stream = await server.fetch('/events')
    await reached
    await server.idle({ timeout: 1_000 })
    expect(server.inFlight()).toMatchObject([{ kind: 'stream', path: '/events' }])
    await stream.body?.cancel()
  })

  test('ends when what is in flight turns out to be an event stream', async () => {
    const [reached, release] = [gate(), gate()]
    await using server = await serve(
      async (_request: unknown, response: http.ServerResponse) => {
        reached.open()
        await release.opened
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      },
      { grace: 5_000 },
    )
    // By a client that tells the server nothing.
    const asked = fetch(server.url)
    await reached.opened
    const idle = server.idle({ timeout: 4_000 })
    release.open()
    await idle
    expect(server.inFlight()).toMatchObject([{ kind: 'stream' }])
    await (await asked).body?.cancel()
  })

  test('refuses wrong options', async () => {
    await using server = await serve(holding().app)
    expect((await failure(server.idle({ timeout: -1 }))).code).toBe('INVALID_OPTION')
  })
})

test('dropConnections() resets all connections, and the server goes on', async () => {
  const { app, reached } = holding()
  await using server = await serve(app)
  const agent = new http.Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const answer = new Promise((resolve) => {
    http
      .get(`${server.url}/held`, { agent }, (response) => {
        response.resume().once('error', resolve)
      })
      // Newer versions of Node tell it of the reset too.
      .on('error', resolve)
  })
  await reached
  server.dropConnections()
  expect(await answer).toMatchObject({ code: 'ECONNRESET' })
  expect((await server.fetch('/')).status).toBe(200)
})

test('an event stream is ended, not cut, when the server closes', async () => {
  const { app, reached } = holding()
  const server = await serve(app, { grace: 5_000 })
  const ended = new Promise<string>((resolve, reject) => {
    http.get(`${server.url}/events`, { agent: false }, (response) => {
      let body = ''
      response.on('data', (chunk) => (body += String(chunk)))
      response.once('end', () => resolve(body)).once('error', reject)
    })
  })
  await reached
  const report = await server.close()
  expect(await ended).toBe('data: 1\n\n')
  expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(report.durationMs).toBeLessThan(2_500)
})

/** Apps that send events until their client has gone, by what they hear of that: the signal of a request, or whether the answer was finished. */
const endless: [string, ServeOptions, (onGone: () => void) => Target][] = [
  ['a signal', {}, signalled],
  ['a signal of HTTP/2', { http2: true }, signalled],
  [
    'an answer',
    {},
    (onGone) => (_request: unknown, response: http.ServerResponse) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
      let isFinished = false
      response.once('finish', () => (isFinished = true))
      response.on('close', () => {
        const { writableEnded, writableFinished } = response
        if (!isFinished && !writableEnded && !writableFinished) onGone()
      })
    },
  ],
  [
    'a pipeline',
    {},
    (onGone) => async (_request: unknown, response: http.ServerResponse) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const events = async function* (): AsyncGenerator<string> {
        try {
          yield 'data: 1\n\n'
          for (;;) yield await delay(1, ':\n\n')
        } finally {
          onGone()
        }
      }
      await pipeline(events, response).catch(() => {})
    },
  ],
]

function signalled(onGone: () => void): Target {
  const fetch = ({ signal }: Request): Response => {
    signal.addEventListener('abort', onGone)
    const events = new ReadableStream({ start: (to) => to.enqueue(Buffer.from('data: 1\n\n')) })
    return new Response(events, { headers: { 'content-type': 'text/event-stream' } })
  }
  return { fetch }
}

test.each(endless)(
  'an app hears by %s that its event stream is ended',
  async (_by, options, app) => {
    const gone = gate()
    const server = await serve(app(gone.open), options)
    const response = await server.fetch('/')
    const read = response.text()
    expect((await server.close()).outcome).toBe('graceful')
    expect(await read).toContain('data: 1\n\n')
    await gone.opened
  },
)

test('an app that writes to an event stream which was ended does no harm', async () => {
  const server = await serve((_request: unknown, response: http.ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    const end = response.end.bind(response)
    response.end = (() => {
      const ended = end()
      response.write('data: 2\n\n')
      return ended
    }) as typeof response.end
  })
  const response = await server.fetch('/')
  const closing = server.close()
  expect(await response.text()).toBe('data: 1\n\n')
  expect((await closing).outcome).toBe('graceful')
})
