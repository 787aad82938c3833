import { execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { fileURLToPath } from 'node:url'
import { certificate } from 'fixture-apps'
import { serve } from 'portzero'
import type { CloseReport, LiveServer } from 'portzero'
import { WebSocket } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket as Ws, WebSocketServer } from 'ws'
import { lastUse } from '../dist/connections/last-use.js'
import { answers, gate } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'

const GRACE = 5_000

/** More than the system of a client takes unread: the rest is lost with a connection that is reset. */
const LARGE = 1_000_000

/** Longer than a connection is kept for what may be on its way. */
const WHILE = 100

/** What a WebSocket is closed by, with the code 1001. */
const GOING_AWAY = Buffer.from([0x88, 2, 0x03, 0xe9])

const graceful = { outcome: 'graceful', blockers: [] }

const dial = (port: number): net.Socket => net.connect(port, '127.0.0.1')

const headOf = (...lines: string[]): string => [...lines, 'Host: x', '', ''].join('\r\n')

/** Sends a request over a new connection, of which nothing is read until somebody does. */
function ask(socket: net.Socket, ...lines: string[]): net.Socket {
  onTestFinished(() => void socket.destroy())
  // Told to whoever reads.
  socket.on('error', () => {})
  socket.pause().write(headOf(...lines))
  return socket
}

/** The bytes that follow the last head. */
const bodyOf = (received: string): string => received.split('\r\n\r\n').at(-1) ?? ''

type Act = (response: http.ServerResponse) => unknown

/** Asks an app that prepares its answer at once, and gives it when it is released. */
async function askUntilReleased(
  give: Act,
  prepare: Act,
): Promise<{ server: LiveServer; client: net.Socket; release: () => void }> {
  const [reached, release] = [gate(), gate()]
  const server = await serve(
    async (_request: http.IncomingMessage, response: http.ServerResponse) => {
      prepare(response)
      reached.open()
      await release.opened
      give(response)
    },
    { grace: GRACE },
  )
  const client = ask(dial(server.port), 'GET / HTTP/1.1')
  await reached.opened
  return { server, client, release: release.open }
}

/** The same of one that gives its answer when closing has begun. */
async function askBeforeClosing(
  give: Act,
  prepare: Act = () => {},
): Promise<{ client: net.Socket; closing: Promise<CloseReport> }> {
  const { server, client, release } = await askUntilReleased(give, prepare)
  const closing = server.close()
  while (await answers(server.port));
  release()
  return { client, closing }
}

/** Has all threads in which Node does other work than JavaScript wait until they are released. */
async function keepThreadsBusy(): Promise<() => void> {
  const path = join(await temporaryFolder(), 'fifo')
  execFileSync('mkfifo', [path])
  const waiting = Array.from({ length: 4 }, () => open(path, 'r'))
  const release = (): void => {
    // They wait for somebody who may write.
    closeSync(openSync(path, 'r+'))
    for (const one of waiting.splice(0)) void one.then((file) => file.close())
  }
  onTestFinished(release)
  return release
}

function get(url: string, agent: http.Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (response) => resolve(text(response))).once('error', reject)
  })
}

describe('the head of an answer that is given while closing', () => {
  test.each([
    ['an array', ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']],
    [
      'an array of arrays',
      [
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2'],
      ] as never[],
    ],
  ])('keeps what the app has in %s, and tells of the end', async (_what, headers) => {
    const { client, closing } = await askBeforeClosing((response) => {
      response.writeHead(200, headers).end('ok')
    })
    expect((await text(client)).match(/^(?:set-cookie|connection): .*/gim)).toEqual([
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
      'Connection: close',
    ])
    expect(await closing).toMatchObject(graceful)
  })
})

type Listener<Result> = (request: http.IncomingMessage, response: http.ServerResponse) => Result

/** An app that begins its first answer, and ends it when `release` is opened. What is asked at `/next` is answered by `next`. */
function beginning(next: Listener<unknown>): {
  app: Listener<Promise<void>>
  begun: ReturnType<typeof gate>
  release: ReturnType<typeof gate>
} {
  const [begun, release] = [gate(), gate()]
  const app: Listener<Promise<void>> = async (request, response) => {
    if (request.url === '/next') return void (await next(request, response))
    response.write('the ')
    begun.open()
    await release.opened
    response.end('first')
  }
  return { app, begun, release }
}

test('a client that asks on is answered behind an answer that had begun before closing', async () => {
  const { app, begun, release } = beginning((_request, response) => response.end('the next'))
  const server = await serve(app, { grace: GRACE })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const both = Promise.all([get(server.url, agent), get(`${server.url}/next`, agent)])
  await begun.opened
  const closing = server.close()
  while (await answers(server.port));

  release.open()
  expect(await both).toEqual(['the first', 'the next'])
  expect(await closing).toMatchObject(graceful)
})

test('a client that sends a request together with its body is told of the end', async () => {
  const { app, begun, release } = beginning(async (request, response) =>
    response.end(await text(request)),
  )
  const server = await serve(app, { grace: GRACE })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => agent.destroy())
  const first = get(server.url, agent)
  const next = http.request(`${server.url}/next`, { agent, method: 'POST' }).end('its body')
  await begun.opened
  const closing = server.close()
  while (await answers(server.port));

  release.open()
  expect(await first).toBe('the first')
  const [{ headers }] = (await once(next, 'response')) as [http.IncomingMessage]
  expect(headers.connection).toBe('close')
  expect(await closing).toMatchObject(graceful)
})

test.each<[string, (response: http.ServerResponse) => unknown]>([
  ['before its head', (response) => response.setHeader('Connection', 'keep-alive')],
  ['by removing the header', (response) => response.removeHeader('Connection')],
  ['in an object', (response) => response.writeHead(200, { connection: 'keep-alive' })],
  ['in an array', (response) => response.writeHead(200, ['Connection', 'Keep-Alive', 'X-A', '1'])],
  [
    'in an array of arrays',
    (response) => response.writeHead(200, 'OK', [['connection', 'keep-alive']] as never),
  ],
])(
  'a client is told of the end, though the app says that its connection stays, %s',
  async (_where, say) => {
    const { client, closing } = await askBeforeClosing((response) => {
      say(response)
      response.end('ok')
    })
    expect((await text(client)).match(/^connection: .*$/gim)).toEqual([
      expect.stringMatching(/^connection: close$/i),
    ])
    expect(await closing).toMatchObject(graceful)
  },
)

test('a client that asks on before it has an answer gets both, and may ask on', async () => {
  const [one, two, release] = [gate(), gate(), gate()]
  const server = await serve(
    async ({ url }: http.IncomingMessage, response: http.ServerResponse) => {
      if (url === '/one') one.open()
      else two.open()
      await release.opened
      response.end(`answer to ${url};`)
    },
    { grace: GRACE },
  )
  const client = ask(dial(server.port), 'GET /one HTTP/1.1')
  await one.opened
  const closing = server.close()
  while (await answers(server.port));

  client.write(headOf('GET /two HTTP/1.1'))
  await two.opened
  release.open()
  expect((await text(client)).match(/^connection: close|answer to .*(?=;)/gim)).toEqual([
    'answer to /one',
    'answer to /two',
  ])
  expect(await closing).toMatchObject(graceful)
})

test('a client that has asked on before it had an answer may do so while closing, however quick the app was', async () => {
  const [reached, release] = [gate(), gate()]
  const server = await serve(
    async ({ url }: http.IncomingMessage, response: http.ServerResponse) => {
      if (url === '/three') {
        reached.open()
        await release.opened
        client.write(headOf('GET /four HTTP/1.1'))
      }
      response.end(`answer to ${url};`)
    },
    { grace: GRACE },
  )
  const client = ask(dial(server.port), 'GET /one HTTP/1.1', 'Host: x', '', 'GET /two HTTP/1.1')
  const received = text(client)
  await once(client, 'data')
  client.write(headOf('GET /three HTTP/1.1'))
  await reached.opened
  const closing = server.close()
  while (await answers(server.port));

  release.open()
  expect((await received).match(/answer to .*(?=;)/g)).toHaveLength(4)
  expect(await closing).toMatchObject(graceful)
})

test('a client that asks on where Node has stopped reading gets all answers', async () => {
  const [reached, release] = [gate(), gate()]
  const server = await serve(
    ({ url }: http.IncomingMessage, response: http.ServerResponse) => {
      if (url === '/0') void release.opened.then(() => response.end('0'))
      // Node reads no more while it holds so much.
      else response.end(url === '/1' ? Buffer.alloc(100_000, '1') : String(url).slice(1))
      if (url === '/2') reached.open()
    },
    { grace: GRACE },
  )
  const client = dial(server.port)
  onTestFinished(() => void client.destroy())
  const asked = (path: string): string => headOf(`GET ${path} HTTP/1.1`)
  client.write(asked('/0') + asked('/1') + asked('/2'))
  await reached.opened
  client.write(asked('/3') + asked('/4'))
  const closing = server.close()
  while (await answers(server.port));

  release.open()
  const bodies = (await text(client)).split(/HTTP[^]*?\r\n\r\n/).slice(1)
  expect(bodies.map((body) => body[0])).toEqual(['0', '1', '2', '3', '4'])
  expect(await closing).toMatchObject(graceful)
})

describe('a client is answered on the connection that it has just used,', () => {
  const blocking: http.RequestListener = ({ url }, response) => {
    if (url === '/used') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WHILE)
    response.end(url)
  }
  const waiting: http.RequestListener = ({ url }, response) =>
    void setTimeout(() => response.end(url), url === '/used' ? WHILE : 0)

  test.each<[string, http.RequestListener, (server: http.Server) => unknown]>([
    ['to an app that took a while', blocking, () => {}],
    ['to an app that waited', waiting, () => {}],
    ['where Node does not note it', blocking, (server) => (server.keepAliveTimeout = 0)],
    ['where Node notes less', waiting, (server) => (server.keepAliveTimeout = 0)],
    [
      'where Node noted it once',
      (request, response) => {
        const { server } = request.socket as net.Socket & { server: http.Server }
        if (request.url === '/used') server.keepAliveTimeout = 0
        waiting(request, response)
      },
      () => {},
    ],
    ['with limits of its own', waiting, (server) => (server.timeout = 60_000)],
  ])('%s', async (_what, listener, prepare) => {
    const app = http.createServer(listener)
    prepare(app)
    const server = await serve(app, { grace: GRACE })
    const client = dial(server.port)
    onTestFinished(() => void client.destroy())
    for (const path of ['/before', '/used']) {
      client.write(headOf(`GET ${path} HTTP/1.1`))
      await once(client, 'data')
    }
    const closing = server.close()
    await delay(3)
    client.write(headOf('GET /next HTTP/1.1'))
    expect(bodyOf(await text(client))).toBe('/next')
    expect(await closing).toMatchObject(graceful)
  })
})

test('a client that was kept waiting together with its server is answered on the connection that it has just used', async () => {
  const server = await serve(
    ({ url }: http.IncomingMessage, response: http.ServerResponse) => void response.end(url),
    { grace: GRACE },
  )
  const client = dial(server.port)
  onTestFinished(() => void client.destroy())
  client.write(headOf('GET /used HTTP/1.1'))
  await once(client, 'data')
  const closing = server.close()
  await delay(5)
  // A little after all goes on.
  setTimeout(() => client.write(headOf('GET /next HTTP/1.1')), WHILE + 10)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WHILE)
  expect(bodyOf(await text(client))).toBe('/next')
  expect(await closing).toMatchObject(graceful)
})

test('Node notes when a connection begins to wait for its next request', async () => {
  const sockets: net.Socket[] = []
  await using server = await serve(
    (request: http.IncomingMessage, response: http.ServerResponse) => {
      sockets.push(request.socket)
      response.end('ok')
    },
  )
  const client = dial(server.port)
  onTestFinished(() => void client.destroy())
  const earliest = performance.now()
  client.write(headOf('GET / HTTP/1.1'))
  await once(client, 'data')
  const latest = performance.now()
  await delay(WHILE)
  const stream = sockets[0] as net.Socket
  const noted = lastUse({ startedAt: earliest, stream, usedAt: -Infinity })
  // By a clock of whole milliseconds.
  expect(noted).toBeGreaterThan(earliest - 2)
  expect(noted).toBeLessThan(latest + 2)
})

describe('a client that sends all of its request before it reads gets', () => {
  const EXPECTING = ['Expect: 100-continue']

  test.each([
    ['a small answer that was given before closing', 10, 'before', []],
    ['a small answer that is given while closing', 10, 'while', []],
    ['a small answer that is given after it was told to go on', 10, 'while', EXPECTING],
    ['a large answer that was given before closing', LARGE, 'before', []],
    ['a large answer that is given after it was told to go on', LARGE, 'while', EXPECTING],
  ])('%s', async (_what, bytes, when, headers) => {
    const [reached, release, answered] = [gate(), gate(), gate()]
    const server = await serve(
      async (_request: http.IncomingMessage, response: http.ServerResponse) => {
        reached.open()
        await release.opened
        response.end('x'.repeat(bytes))
        answered.open()
      },
      { grace: GRACE },
    )
    const head = ['POST / HTTP/1.1', `Content-Length: ${LARGE}`, ...headers]
    const client = ask(dial(server.port), ...head)
    await reached.opened
    if (when === 'before') {
      release.open()
      await answered.opened
    }
    const closing = server.close()
    while (await answers(server.port));
    release.open()
    await answered.opened
    await delay(WHILE)

    client.write('y'.repeat(LARGE))
    expect(bodyOf(await text(client)).length).toBe(bytes)
    expect(await closing).toMatchObject(graceful)
  })
})

describe('a WebSocket', () => {
  test('that is refused gets the whole answer, and nothing else', async () => {
    const [reached, release] = [gate(), gate()]
    const app = http.createServer().on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nplease')
      void release.opened.then(() => socket.end(' login'))
      reached.open()
    })
    const server = await serve(app, { grace: GRACE })
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket']
    const client = ask(dial(server.port), 'GET / HTTP/1.1', ...upgrade)
    await reached.opened
    const closing = server.close()
    while (await answers(server.port));

    release.open()
    expect(bodyOf(await text(client))).toBe('please login')
    expect(await closing).toMatchObject(graceful)
  })

  test.each([
    ['', (socket: Duplex, head: string) => socket.write(head)],
    [
      ' in two parts',
      (socket: Duplex, head: string) => {
        socket.write(head.slice(0, 40))
        socket.write(Buffer.from(head.slice(40)))
      },
    ],
  ])('that is accepted while closing%s is told to go away', async (_how, accept) => {
    const [reached, release] = [gate(), gate()]
    const app = http.createServer().on('upgrade', ({ headers }, socket) => {
      const key = createHash('sha1')
        .update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        .digest('base64')
      const head = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket']
      head.push(`Sec-WebSocket-Accept: ${key}`, '', '')
      void release.opened.then(() => accept(socket, head.join('\r\n')))
      socket.once('data', () => socket.end())
      reached.open()
    })
    const server = await serve(app, { grace: GRACE })
    const client = new WebSocket(server.url.replace('http', 'ws'))
    const code = new Promise((resolve) => {
      client.addEventListener('close', (event) => resolve(event.code))
    })
    await reached.opened
    const closing = server.close()
    while (await answers(server.port));

    release.open()
    expect(await closing).toMatchObject(graceful)
    expect(await code).toBe(1001)
  })
})

test('a WebSocket is told behind frames that the app writes as a view of their bytes', async () => {
  const frame = Uint8Array.of(0x82, 3, 1, 2, 3)
  const received = await receivedInAll((socket) => {
    socket.write(new DataView(frame.buffer, 0, 2))
    socket.write(frame.subarray(2))
  })
  expect(received).toEqual(Buffer.concat([frame, GOING_AWAY]))
})

test('a WebSocket that the app closes is not closed again', async () => {
  const itsOwn = Buffer.of(0x88, 2, 0x0f, 0xa1)
  expect(await receivedInAll((socket) => socket.write(itsOwn))).toEqual(itsOwn)
})

/** What a WebSocket receives to whose client the app writes so much, in a closing that is graceful. */
async function receivedInAll(write: (socket: Duplex) => void): Promise<Buffer> {
  const app = http.createServer().on('upgrade', (_request, socket: Duplex) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n')
    write(socket)
    socket.once('data', () => socket.end())
  })
  const server = await serve(app, { grace: GRACE })
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket']
  const client = ask(dial(server.port), 'GET / HTTP/1.1', ...upgrade)
  await once(client, 'readable')
  const closing = server.close()
  while (await answers(server.port));

  client.write(GOING_AWAY)
  const received = await buffer(client)
  expect(await closing).toMatchObject(graceful)
  return received.subarray(received.indexOf('\r\n\r\n') + 4)
}

test('an upgrade that the app accepts before it has all of the request is let finish', async () => {
  const [accepted, release] = [gate(), gate()]
  const app = http.createServer().on('upgrade', (_request, socket: Duplex) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n')
    socket.resume()
    void release.opened.then(() => socket.end('all'))
    accepted.open()
  })
  const server = await serve(app, { grace: GRACE })
  const upgrade = ['Connection: Upgrade', 'Upgrade: echo', 'Content-Length: 4']
  const client = ask(dial(server.port), 'GET / HTTP/1.1', ...upgrade)
  await accepted.opened
  const closing = server.close()
  while (await answers(server.port));

  expect(server.inFlight()).toMatchObject([{ kind: 'upgrade' }])
  client.write('rest')
  release.open()
  expect(bodyOf(await text(client))).toBe('all')
  expect(await closing).toMatchObject(graceful)
})

describe('a WebSocket that the app has just written to', () => {
  test('gets all that is still compressed before it is told to go away, however long that takes', async () => {
    const release = await keepThreadsBusy()
    const app = http.createServer()
    const sockets = new WebSocketServer({ server: app, perMessageDeflate: true })
    const message = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => index * 7_919))
    const server = await serve(app, { grace: GRACE })
    const client = new Ws(server.url.replace('http', 'ws'))
    onTestFinished(() => client.terminate())
    const received: boolean[] = []
    client.on('message', (data) => received.push((data as Buffer).toString() === message))
    const closed = once(client, 'close')
    const [socket] = (await once(sockets, 'connection')) as [Ws]
    for (let sent = 0; sent < 10; sent += 1) socket.send(message)
    const closing = server.close()
    await delay(600)
    release()
    expect(await closing).toMatchObject(graceful)
    expect((await closed)[0]).toBe(1001)
    expect(received).toEqual(Array.from({ length: 10 }, () => true))
  })

  test('is told behind the frame that a relay has sent a part of', async () => {
    const [begun, release] = [gate(), gate()]
    const app = http.createServer().on('upgrade', (_request, socket: Duplex) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n')
      socket.write(Buffer.from([0x82, 126, 1]))
      socket.once('data', () => socket.end())
      // With the beginning of another one.
      const rest = Buffer.concat([Buffer.from([0]), Buffer.alloc(256, 'a'), Buffer.from([0x82, 9])])
      void release.opened.then(() => socket.write(rest))
      begun.open()
    })
    const server = await serve(app, { grace: GRACE })
    const client = dial(server.port)
    onTestFinished(() => void client.destroy())
    client.write(headOf('GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'))
    let received = Buffer.alloc(0)
    const told = new Promise<void>((resolve) => {
      client.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        if (received.includes(GOING_AWAY)) resolve()
      })
    })
    await begun.opened
    const closing = server.close()
    while (await answers(server.port));

    release.open()
    await told
    client.write(GOING_AWAY)
    expect(await closing).toMatchObject(graceful)
    const frames = received.subarray(received.indexOf('\r\n\r\n') + 4)
    expect(frames.subarray(4, 260)).toEqual(Buffer.alloc(256, 'a'))
    expect(frames.subarray(260)).toEqual(GOING_AWAY)
  })
})

test('an app that puts its own in the place of what writes to a WebSocket hears all that is written', async () => {
  const accepted = gate()
  let heard = 0
  const app = http.createServer().on('upgrade', (_request, socket: Duplex) => {
    const write = socket.write.bind(socket) as (data: unknown) => boolean
    socket.write = (data: unknown) => {
      heard += 1
      return write(data)
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n')
    for (let frame = 1; frame <= 3; frame += 1) socket.write(Buffer.from([0x81, 0]))
    accepted.open()
  })
  const server = await serve(app, { grace: 0 })
  ask(dial(server.port), 'GET / HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket')
  await accepted.opened
  expect(heard).toBe(4)
  await server.close()
})

test.each([
  [
    'a writeHead() of its own, for good,',
    (response: http.ServerResponse) => {
      const value = response.writeHead.bind(response) as unknown
      Object.defineProperty(response, 'writeHead', { value })
    },
  ],
  [
    'what fails whoever looks at it',
    (response: http.ServerResponse) => {
      const fail = (): never => {
        throw new Error('not to be looked at')
      }
      Object.defineProperty(response, 'headersSent', { get: fail, configurable: true })
    },
  ],
])('an app that has put on its answer %s is waited for', async (_which, put) => {
  const { server, client, release } = await askUntilReleased((response) => {
    Reflect.deleteProperty(response, 'headersSent')
    response.end('ok')
  }, put)
  let isClosed = false
  const closing = server.close().finally(() => (isClosed = true))
  await delay(WHILE)
  expect(isClosed).toBe(false)
  release()
  expect(bodyOf(await text(client))).toBe('ok')
  expect(await closing).toMatchObject(graceful)
})

test('a helper of the app that has the name of one of HTTP/2 works while closing', async () => {
  interface Helped extends http.ServerResponse {
    respond(): http.ServerResponse
  }
  const { client, closing } = await askBeforeClosing(
    (response) => (response as Helped).respond().end('ok'),
    (response) => void ((response as Helped).respond = () => response),
  )
  expect(await text(client)).toMatch(/^connection: close\r\n[^]*ok$/im)
  expect(await closing).toMatchObject(graceful)
})

test('an answer that does not know its request is given while closing', async () => {
  const { client, closing } = await askBeforeClosing((response) => {
    const { req } = response
    Reflect.set(response, 'req', undefined)
    response.end('ok')
    // Node 26 needs it.
    Reflect.set(response, 'req', req)
  })
  expect(await text(client)).toMatch(/^connection: close\r\n[^]*ok$/im)
  expect(await closing).toMatchObject(graceful)
})

test('a request that Node has refused by itself is named, where its client does not send the rest', async () => {
  const server = await serve((_request: unknown, _response: unknown) => {})
  const client = dial(server.port)
  client.on('error', () => {})
  client.write(headOf('POST /refused HTTP/1.1', 'Expect: nothing', 'Content-Length: 5'))
  await once(client, 'data')
  const { outcome, blockers } = await server.close({ grace: WHILE })
  expect(outcome).toBe('forced')
  expect(blockers).toEqual([
    { kind: 'request', method: 'POST', path: '/refused', ageMs: expect.any(Number) as number },
  ])
  expect(blockers[0]?.ageMs).toBeLessThan(GRACE)
})

test('what is cut off twice is named once', async () => {
  const reached = gate()
  const server = await serve((_request: unknown, _response: unknown) => reached.open())
  ask(dial(server.port), 'GET /never HTTP/1.1')
  await reached.opened
  const closing = server.close()
  while (await answers(server.port));
  server.dropConnections()
  server.dropConnections()
  expect(await closing).toMatchObject({ outcome: 'forced', blockers: [{ path: '/never' }] })
})

test.each([
  ['HTTP/1.1', {}],
  ['HTTP/2', { http2: true }],
])(
  'events that answer a POST over %s are a request in flight, answered to the end',
  async (_version, options) => {
    const release = gate()
    const server = await serve(
      async (_request: http.IncomingMessage, response: http.ServerResponse) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
        await release.opened
        response.end('data: 2\n\n')
      },
      { ...options, grace: GRACE },
    )
    const response = await server.fetch('/', { method: 'POST', body: 'asked' })
    expect(server.inFlight()).toMatchObject([{ kind: 'request', method: 'POST' }])
    const read = response.text()
    const closing = server.close()
    while (await answers(server.port));

    release.open()
    expect(await read).toBe('data: 1\n\ndata: 2\n\n')
    expect(await closing).toMatchObject(graceful)
  },
)

test('an event stream that begins while closing is ended, after what the app writes at once', async () => {
  const { client, closing } = await askBeforeClosing((response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
  })
  expect(await closing).toMatchObject(graceful)
  expect(await text(client)).toMatch(/data: 1\n\n\r\n0\r\n\r\n$/)
})

test('an event stream that cannot be ended is cut off, and in the way of nothing else', async () => {
  const release = gate()
  const server = await serve(
    ({ url }: http.IncomingMessage, response: http.ServerResponse) => {
      if (url === '/late') return void release.opened.then(() => response.end('late'))
      response.strictContentLength = true
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-length': 100 })
      response.write('data: 1\n\n')
    },
    { grace: 200 },
  )
  const events = ask(dial(server.port), 'GET /events HTTP/1.1')
  await once(events, 'readable')
  const late = ask(dial(server.port), 'GET /late HTTP/1.1')
  while (server.inFlight().length < 2) await delay(1)
  const closing = server.close()
  while (await answers(server.port));

  release.open()
  expect(bodyOf(await text(late))).toBe('late')
  expect(await closing).toMatchObject({ outcome: 'forced', blockers: [{ path: '/events' }] })
  await expect(text(events)).rejects.toMatchObject({ code: 'ECONNRESET' })
})

describe('cuts off with a reset, which nobody takes for the end of', () => {
  const HUGE = 20_000_000

  test.each([
    [
      'an answer without a length, to a client that has closed its side',
      (begun: () => void) =>
        http.createServer((request, response) => {
          request.socket.once('end', begun)
          response.write(Buffer.alloc(HUGE))
          response.end()
        }),
      'GET / HTTP/1.0\r\n\r\n',
      true,
    ],
    [
      'a tunnel that the app has ended',
      (begun: () => void) =>
        http.createServer().on('connect', (_request, socket) => {
          // A tunnel is the app's own.
          socket.on('error', () => {})
          socket.write('HTTP/1.1 200 OK\r\n\r\n')
          socket.end(Buffer.alloc(HUGE))
          begun()
        }),
      'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n',
      false,
    ],
  ])('%s', async (_what, create, head, closesItsSide) => {
    const begun = gate()
    const server = await serve(create(begun.open), { grace: 20 })
    const program = fileURLToPath(new URL('reads-when-told.py', import.meta.url))
    const client = spawn('python3', [program, `${server.port}`, head, `${closesItsSide}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void client.kill())
    await begun.opened

    expect((await server.close()).outcome).toBe('forced')
    client.stdin.end()
    expect(await text(client.stdout)).toBe('a reset\n')
  })
})

describe('a cut loses no answer that was handed over as a whole before,', () => {
  const BYTES = 300_000

  async function serveTwo(): Promise<{
    server: LiveServer
    hangs: Promise<void>
    answered: Promise<void>
  }> {
    const [hangs, answered] = [gate(), gate()]
    const server = await serve(({ url }: http.IncomingMessage, response: http.ServerResponse) => {
      if (url === '/hang') hangs.open()
      else response.once('finish', answered.open).end('x'.repeat(BYTES))
    })
    return { server, hangs: hangs.opened, answered: answered.opened }
  }

  test('to a client that has yet to read it', async () => {
    const { server, hangs, answered } = await serveTwo()
    ask(dial(server.port), 'GET /hang HTTP/1.1')
    const client = ask(dial(server.port), 'GET / HTTP/1.1')
    await Promise.all([hangs, answered])

    const report = await server.close({ grace: 0 })
    expect(report).toMatchObject({ outcome: 'forced', blockers: [{ path: '/hang' }] })
    expect(bodyOf(await text(client)).length).toBe(BYTES)
  })

  test('to its own client', async () => {
    const { server, hangs, answered } = await serveTwo()
    const cut = server.fetch('/hang').catch(() => 'cut off')
    const response = await server.fetch('/')
    await Promise.all([hangs, answered])

    const report = await server.close({ grace: 0 })
    expect(report).toMatchObject({ outcome: 'forced', blockers: [{ path: '/hang' }] })
    expect((await response.text()).length).toBe(BYTES)
    expect(await cut).toBe('cut off')
  })
})

/** Prepares an app for connections of this kind, and says how a client makes one. */
type Prepare = (app: http.Server) => Promise<() => net.Socket>

const overUnixSocket: Prepare = async (app) => {
  const path = join(await temporaryFolder(), 'socket')
  await once(app.listen(path), 'listening')
  onTestFinished(() => void app.close())
  return () => net.connect(path)
}

const overItsOwnTls: Prepare = async (app) => {
  const listener = tls.createServer(await certificate(), (socket) => {
    app.emit('connection', socket)
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void listener.close())
  const { port } = listener.address() as net.AddressInfo
  return () => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
}

describe.each([
  ['a unix socket', overUnixSocket],
  ["TLS of the app's own", overItsOwnTls],
])('a connection over %s', (_what, prepare) => {
  test('is cut off at the end of the grace', async () => {
    const reached = gate()
    const app = http.createServer(() => reached.open())
    const connect = await prepare(app)
    const server = await serve(app, { grace: 20 })
    const client = ask(connect(), 'GET /hang HTTP/1.1').resume()
    const closed = new Promise((resolve) => client.once('close', resolve))
    await reached.opened

    expect(await server.close()).toMatchObject({
      outcome: 'forced',
      blockers: [{ kind: 'request', path: '/hang' }],
    })
    await closed
  })

  test('is cut off by dropConnections()', async () => {
    const reached = gate()
    const app = http.createServer(() => reached.open())
    const connect = await prepare(app)
    await using server = await serve(app, { grace: GRACE })
    const client = ask(connect(), 'GET /hang HTTP/1.1').resume()
    const closed = new Promise((resolve) => client.once('close', resolve))
    await reached.opened

    server.dropConnections()
    await closed
    expect(server.inFlight()).toEqual([])
  })
})

test('a connection that is decrypted elsewhere, and handed in, is cut off with a reset', async () => {
  const app = http.createServer((_request, response) => void response.write('has no length'))
  const front = tls.createServer(await certificate(), (socket) => app.emit('connection', socket))
  onTestFinished(() => void front.close())
  await once(front.listen(0, '127.0.0.1'), 'listening')
  const server = await serve(app, { grace: 20 })
  const { port } = front.address() as net.AddressInfo
  const client = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  onTestFinished(() => void client.destroy())
  client.write(headOf('GET / HTTP/1.0'))
  await once(client, 'data')
  const received = text(client)
  expect(await server.close()).toMatchObject({ outcome: 'forced', blockers: [{ path: '/' }] })
  await expect(received).rejects.toMatchObject({ code: 'ECONNRESET' })
})

test('connections over TLS on a unix socket are told apart', async () => {
  const [one, two] = [gate(), gate()]
  const app = https.createServer(await certificate(), ({ url }) => {
    if (url === '/one') one.open()
    else two.open()
  })
  const path = join(await temporaryFolder(), 'socket')
  await once(app.listen(path), 'listening')
  const server = await serve(app, { grace: 20 })
  const connect = (): net.Socket => tls.connect({ path, rejectUnauthorized: false })
  ask(connect(), 'GET /one HTTP/1.1').resume()
  await one.opened
  ask(connect(), 'GET /two HTTP/1.1').resume()
  await two.opened
  const report = await server.close()
  expect(report).toMatchObject({
    outcome: 'forced',
    blockers: [{ path: '/one' }, { path: '/two' }],
  })
})

test('a connection that was used again is not closed for how long ago it was used before', async () => {
  const server = await serve(
    (_request: http.IncomingMessage, response: http.ServerResponse) => void response.end('ok'),
    { grace: GRACE },
  )
  const client = dial(server.port)
  client.setNoDelay()
  onTestFinished(() => void client.destroy())
  const received = text(client)
  client.write(headOf('GET /one HTTP/1.1'))
  await once(client, 'data')
  await delay(10)
  const startedAt = performance.now()
  const closing = server.close()
  await delay(3)
  // Answered before it has come as a whole, so that its client may ask on.
  client.write(headOf('POST /two HTTP/1.1', 'Content-Length: 10') + 'hello')
  while (performance.now() - startedAt < 12) await delay(1)
  client.write('world')
  while (performance.now() - startedAt < 24) await delay(1)
  client.write(headOf('GET /three HTTP/1.1'))
  expect((await received).match(/^ok|ok$/gm)).toHaveLength(3)
  expect(await closing).toMatchObject(graceful)
})

test('an app that closes its server when it is told of the closing gets the same report', async () => {
  let hooks = 0
  let inner: Promise<CloseReport> | undefined
  const server = await serve(({ signal, onClose }) => {
    signal.addEventListener('abort', () => void (inner = server.close()))
    onClose(() => (hooks += 1))
    return { fetch: () => new Response('ok') }
  })
  const report = await server.close()
  expect(report).toMatchObject(graceful)
  expect(await inner).toBe(report)
  expect(hooks).toBe(1)
})

describe('inFlight()', () => {
  test('has a request once which the app emits again', async () => {
    const reached = gate()
    const app = http.createServer(() => reached.open())
    app.on('checkContinue', (request, response) => {
      response.writeContinue()
      app.emit('request', request, response)
    })
    await using server = await serve(app, { grace: 0 })
    ask(dial(server.port), 'POST / HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 2')
    await reached.opened
    expect(server.inFlight()).toMatchObject([{ method: 'POST', path: '/' }])
  })

  test('tells a request which the app emits again as it came', async () => {
    const reached = gate()
    const app = http.createServer((request, response) => {
      if (request.url === '/new') return reached.open()
      request.url = '/new'
      setTimeout(() => app.emit('request', request, response), WHILE)
    })
    await using server = await serve(app, { grace: 0 })
    ask(dial(server.port), 'GET /old HTTP/1.1')
    await reached.opened
    const [old] = server.inFlight()
    expect(old?.path).toBe('/old')
    expect(old?.ageMs).toBeGreaterThan(WHILE / 2)
  })

  test('has a request once which the app emits again behind the next one', async () => {
    const reached = gate()
    const app = http.createServer()
    let first: unknown[] | undefined
    app.on('request', (...given) => {
      if (given[0].url === '/second') app.emit('request', ...first!)
      else if (first === undefined) first = given
      else reached.open()
    })
    await using server = await serve(app, { grace: 0 })
    ask(dial(server.port), 'GET /first HTTP/1.1').write(headOf('GET /second HTTP/1.1'))
    await reached.opened
    expect(server.inFlight()).toMatchObject([{ path: '/first' }, { path: '/second' }])
  })

  test('tells the method that the client has sent, whatever the app makes of it', async () => {
    const reached = gate()
    await using server = await serve(
      (request: http.IncomingMessage, _response: unknown) => {
        request.method = 'DELETE'
        reached.open()
      },
      { grace: 0 },
    )
    ask(dial(server.port), 'POST /todo?_method=DELETE HTTP/1.1', 'Content-Length: 0')
    await reached.opened
    expect(server.inFlight()).toMatchObject([{ method: 'POST' }])
  })
})
