import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { Duplex } from 'node:stream'
import type { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { serve } from 'portzero'
import type { CloseReport, LiveServer } from 'portzero'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answers, clientThatStandsStill, gate } from './support.ts'
import { Watch } from './watch.ts'

const GRACE = 5_000

/** More than the system of a client takes unread: the rest is lost with a connection that is reset. */
const LARGE = 1_500_000

/** Longer than a session is kept for what may be on its way. */
const WHILE = 100

/** So much a client lets the server send before it has read any. */
const WINDOW = 2_000_000

/** What a WebSocket is closed by, with the code 1001. */
const GOING_AWAY = Buffer.from([0x88, 2, 0x03, 0xe9])

/** Of HTTP/2, RFC 9113. */
const NO_ERROR = 0
const INTERNAL_ERROR = 2

const graceful = { outcome: 'graceful', blockers: [] }

interface Client {
  session: http2.ClientHttp2Session
  /** From now on it reads nothing, and says nothing to what comes. */
  standStill(): void
  /** Says something before it reads on: a server that has closed its side answers that with a reset. */
  goOn(): void
}

/** A client of HTTP/2, whose session has begun. */
async function connect({ url, port, ca }: LiveServer): Promise<Client> {
  const address = { host: '127.0.0.1', port }
  const socket =
    ca === undefined ? net.connect(address) : tls.connect({ ...address, ca, ALPNProtocols: ['h2'] })
  let { opened, open } = gate()
  open()
  const wire = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      socket.write(chunk, () => done())
    },
    final: (done) => void socket.end(() => done()),
  })
  // Told by what was read.
  socket.on('error', () => {})
  const carry = async (): Promise<void> => {
    for await (const chunk of socket) {
      await opened
      wire.push(chunk)
    }
  }
  const end = (): void => void wire.push(null)
  carry().then(end, end)
  const session = http2.connect(url, {
    createConnection: () => wire,
    settings: { initialWindowSize: WINDOW },
  })
  session.on('error', () => {})
  onTestFinished(() => {
    session.destroy()
    socket.destroy()
  })
  await once(session, 'remoteSettings')
  session.setLocalWindowSize(WINDOW)
  return {
    session,
    standStill: () => void ({ opened, open } = gate()),
    goOn: () => {
      session.settings({})
      open()
    },
  }
}

/** Keeps this process from all else, as an app does that is busy. */
function beBusy(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WHILE)
}

/** How many bytes have come when an answer ends, however it does. */
async function bytesOf(answer: http2.ClientHttp2Stream): Promise<number> {
  let bytes = 0
  answer.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('error', () => {})
  await new Promise((resolve) => answer.once('close', resolve))
  return bytes
}

describe.each([
  ['in clear text', { http2: true, grace: GRACE }],
  ['over TLS', { http2: true, https: true, grace: GRACE }],
])('a session of HTTP/2 %s that is closed', (_what, options) => {
  test.each([
    ['a large answer and then a small one', [LARGE, 10]],
    ['many answers, one after another', Array.from({ length: 25 }, () => 60_000)],
  ])('loses nothing of %s, which its client has yet to read', async (_sizes, sizes) => {
    const app = http2.createServer(({ url }, response) => {
      response.end(Buffer.alloc(Number(url.slice(1))))
    })
    const server = await serve(app, options)
    const { session, standStill, goOn } = await connect(server)
    standStill()
    const read: Promise<number>[] = []
    for (const size of sizes) {
      const reached = once(app, 'request')
      read.push(bytesOf(session.request({ ':path': `/${size}` })))
      await reached
      await server.idle()
    }

    const closing = server.close()
    await delay(WHILE)
    goOn()
    expect(await Promise.all(read)).toEqual(sizes)
    expect(await closing).toMatchObject(graceful)
  })

  test('answers what is asked while closing, and its client may read that late', async () => {
    const [reached, release, late] = [gate(), gate(), gate()]
    const app = http2.createServer(({ url }, response) => {
      reached.open()
      if (url === '/late') void late.opened.then(() => response.end(Buffer.alloc(LARGE)))
      else void release.opened.then(() => response.end(Buffer.alloc(10)))
    })
    const server = await serve(app, options)
    const { session, standStill, goOn } = await connect(server)
    const first = bytesOf(session.request({ ':path': '/' }))
    await reached.opened
    const closing = server.close()
    while (await answers(server.port));

    const asked = once(app, 'request')
    const second = bytesOf(session.request({ ':path': '/late' }))
    await asked
    const told = once(session, 'goaway')
    release.open()
    expect(await first).toBe(10)
    await told
    standStill()
    late.open()
    await delay(WHILE)
    goOn()
    expect(await second).toBe(LARGE)
    expect(await closing).toMatchObject(graceful)
  })

  test('gets to the end of a request that was answered before', async () => {
    let body = ''
    const answered = gate()
    const app = http2.createServer((request, response) => {
      request.on('data', (chunk) => (body += String(chunk)))
      response.end('accepted', answered.open)
    })
    const server = await serve(app, options)
    const { session } = await connect(server)
    const request = session.request({ ':method': 'POST', ':path': '/upload' })
    request.write('begun, ')
    expect(await text(request)).toBe('accepted')
    await answered.opened
    await server.idle()
    const closing = server.close()
    await delay(WHILE)
    request.end('ended')
    expect(await closing).toMatchObject(graceful)
    expect(body).toBe('begun, ended')
  })

  test.each(['close', 'drop'])('tells a client that an answer is cut off (%s)', async (how) => {
    const begun = gate()
    const app = http2.createServer((_request, response) => {
      response.write('begun')
      begun.open()
    })
    const server = await serve(app, { ...options, grace: 50 })
    const { session } = await connect(server)
    const read = text(session.request({ ':path': '/' }))
    read.catch(() => {})
    await begun.opened
    if (how === 'drop') server.dropConnections()
    expect((await server.close()).outcome).toBe(how === 'drop' ? 'graceful' : 'forced')
    await expect(read).rejects.toMatchObject({ code: 'ERR_HTTP2_SESSION_ERROR' })
  })

  test('is no error to a client that has all it asked for, however short the grace', async () => {
    const app = http2.createServer((_request, response) => void response.end('whole'))
    const server = await serve(app, options)
    const { session } = await connect(server)
    let code: number | undefined
    session.once('goaway', (given) => (code = given))
    expect(await text(session.request({ ':path': '/' }))).toBe('whole')
    const closed = once(session, 'close')
    expect(await server.close({ grace: 0 })).toMatchObject(graceful)
    await closed
    expect(code).toBe(NO_ERROR)
  })

  test.each([
    [
      'an answer',
      (_stream: http2.ServerHttp2Stream, response: http2.Http2ServerResponse): Writable => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' })
        return response
      },
    ],
    [
      'a stream',
      (stream: http2.ServerHttp2Stream): Writable => {
        stream.respond({ ':status': 200, 'Content-Type': 'text/event-stream' })
        return stream
      },
    ],
  ])('ends an event stream that its app goes on writing to as %s', async (_as, begin) => {
    const [begun, ended] = [gate(), gate()]
    const app = http2.createServer((request, response) => {
      const events = begin(request.stream, response)
      const event = Buffer.alloc(1_000, 'e')
      for (let count = 0; count < LARGE / 1_000; count += 1) events.write(event)
      const beat = setInterval(() => events.write('beat'), 1)
      request.stream.once('close', () => {
        clearInterval(beat)
        ended.open()
      })
      begun.open()
    })
    const server = await serve(app, options)
    const { session, standStill, goOn } = await connect(server)
    standStill()
    const stream = session.request({ ':path': '/events' })
    const read = bytesOf(stream)
    await begun.opened
    expect(server.inFlight()).toMatchObject([{ kind: 'stream', path: '/events' }])
    const closing = server.close()
    await delay(WHILE)
    goOn()
    expect(await read).toBeGreaterThanOrEqual(LARGE)
    expect(await closing).toMatchObject(graceful)
    expect(stream.rstCode).toBe(0)
    await ended.opened
  })

  test('waits for a stream on which the app has put its own methods for good', async () => {
    const app = http2.createServer()
    const arriving = once(app, 'stream')
    const server = await serve(app, options)
    const { session } = await connect(server)
    const body = text(session.request({ ':path': '/' }))
    const [stream] = (await arriving) as [http2.ServerHttp2Stream]
    for (const name of ['respond', 'write', 'end'] as const) {
      Object.defineProperty(stream, name, { value: stream[name].bind(stream) as unknown })
    }
    const closing = server.close()
    await delay(WHILE)
    expect(server.inFlight()).toMatchObject([{ path: '/' }])
    stream.respond()
    stream.end('ok')
    expect(await body).toBe('ok')
    expect(await closing).toMatchObject(graceful)
  })

  test('pushes to the end what it has begun to push, and names it meanwhile', async () => {
    const release = gate()
    const app = http2.createServer().on('stream', (stream) => {
      stream.pushStream({ ':path': '/pushed' }, (_error, pushed) => {
        pushed.respond()
        pushed.write('begun,')
        void release.opened.then(() => pushed.end('ended'))
      })
      stream.respond()
      stream.end('main')
    })
    const server = await serve(app, options)
    const { session } = await connect(server)
    const pushing = once(session, 'stream')
    expect(await text(session.request({ ':path': '/' }))).toBe('main')
    const [pushed] = (await pushing) as [http2.ClientHttp2Stream]
    const body = text(pushed)

    const closing = server.close()
    await delay(WHILE)
    expect(server.inFlight()).toMatchObject([{ kind: 'request', path: '/pushed' }])
    release.open()
    expect(await body).toBe('begun,ended')
    expect(await closing).toMatchObject(graceful)
  })

  test('sends the trailers that its app has yet to give', async () => {
    const [due, release] = [gate(), gate()]
    const app = http2.createServer().on('stream', (stream) => {
      stream.respond({}, { waitForTrailers: true })
      stream.once('wantTrailers', () => {
        due.open()
        void release.opened.then(() => stream.sendTrailers({ checksum: 'abc' }))
      })
      stream.end('main')
    })
    const server = await serve(app, options)
    const { session } = await connect(server)
    const answer = session.request({ ':path': '/' })
    let trailers = {}
    answer.once('trailers', (given) => (trailers = given))
    const [body, ended] = [text(answer), once(answer, 'close')]
    await due.opened

    const closing = server.close()
    await delay(WHILE)
    release.open()
    expect(await body).toBe('main')
    await ended
    expect(trailers).toMatchObject({ checksum: 'abc' })
    expect(await closing).toMatchObject(graceful)
  })

  test('loses no answer to its own client, in whichever turn of its end that is given', async () => {
    const COUNT = 30
    const BYTES = 100_000
    const reached = gate()
    const held: http2.Http2ServerResponse[] = []
    const app = http2.createServer((_request, response) => {
      held.push(response)
      if (held.length === COUNT) reached.open()
    })
    const server = await serve(app, options)
    const read = Array.from({ length: COUNT }, async () => {
      const response = await server.fetch('/')
      return (await response.arrayBuffer()).byteLength
    })
    await reached.opened

    const closing = server.close()
    while (await answers(server.port));
    beBusy()
    for (const response of held) {
      await nextTurn()
      response.end(Buffer.alloc(BYTES))
    }
    expect(await Promise.all(read)).toEqual(held.map(() => BYTES))
    expect(await closing).toMatchObject(graceful)
  })
})

test('a client of HTTP/2 that has yet to read gets all, also where the app leaves no ping to be sent', async () => {
  const BYTES = 1_000_000
  const app = http2.createServer({ maxOutstandingPings: 1 }, (_request, response) => {
    response.end(Buffer.alloc(BYTES))
  })
  const begun = once(app, 'session')
  const server = await serve(app, { grace: GRACE })
  const { read, goOn } = await clientThatStandsStill(server.url)
  const [session] = (await begun) as [http2.ServerHttp2Session]
  session.ping(() => {})

  const closing = server.close()
  await delay(WHILE)
  goOn()
  expect(await read).toContain(BYTES)
  expect(await closing).toMatchObject(graceful)
})

test('an answer over HTTP/2 that is not read within the grace is named', async () => {
  const given = gate()
  const app = http2.createServer((_request, response) => {
    response.once('finish', given.open).end(Buffer.alloc(LARGE))
  })
  const server = await serve(app, { grace: 200 })
  const client = await connect(server)
  client.standStill()
  client.session.request({ ':path': '/large' })
  await given.opened
  const report = await server.close()
  expect(report).toMatchObject({ outcome: 'forced', blockers: [{ path: '/large' }] })
})

test('what is cut off over HTTP/2 is no error to an app that listens for none', async () => {
  using watch = new Watch()
  const app = http2.createServer().on('stream', (stream) => {
    stream.respond()
    stream.pushStream({ ':path': '/pushed' }, (_error, pushed) => pushed.respond())
  })
  const server = await serve(app, { grace: 0 })
  const ask = async (): Promise<Promise<number>[]> => {
    const { session } = await connect(server)
    const answer = session.request({ ':path': '/' })
    const ended = bytesOf(answer).then(() => answer.rstCode)
    const [pushed] = (await once(session, 'stream')) as [http2.ClientHttp2Stream]
    pushed.on('error', () => {})
    return [ended]
  }

  const [dropped] = await ask()
  server.dropConnections()
  expect(await dropped).toBe(INTERNAL_ERROR)
  const [cut] = await ask()
  await server.close()
  expect(await cut).toBe(INTERNAL_ERROR)
  expect(watch.unhandled()).toEqual([])
})

test('a session whose own goaway() throws is cut off, and its connection closed', async () => {
  using watch = new Watch()
  const app = http2.createServer(() => {})
  const [beginning, asked] = [once(app, 'session'), once(app, 'request')]
  const server = await serve(app, { grace: 0 })
  const { session } = await connect(server)
  const read = bytesOf(session.request({ ':path': '/never' }))
  const [served] = (await beginning) as [http2.ServerHttp2Session]
  served.goaway = () => {
    // Node's own end of the session needs it.
    Reflect.deleteProperty(served, 'goaway')
    throw new Error('refused')
  }
  await asked
  const blockers = [expect.objectContaining({ kind: 'request', path: '/never' })]
  expect(await server.close()).toMatchObject({ outcome: 'forced', blockers })
  expect(await read).toBe(0)
  expect(watch.unhandled()).toEqual([])
})

test('an event stream over HTTP/2 is ended by what the app answers with, which may have more to say', async () => {
  const begun = gate()
  const app = http2.createServer((_request, response) => {
    // As what compresses answers does.
    const end = response.end.bind(response) as (data?: string) => typeof response
    response.end = () => end('rest')
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('events, ')
    begun.open()
  })
  const server = await serve(app, { grace: GRACE })
  const { session } = await connect(server)
  const read = text(session.request({ ':path': '/events' }))
  await begun.opened
  expect(await server.close()).toMatchObject(graceful)
  expect(await read).toBe('events, rest')
})

/** Closes a server on a WebSocket over HTTP/2 that its app has accepted with this head. Returns what its client was told. */
async function farewell(head: object): Promise<{ frame: Buffer; report: CloseReport }> {
  const app = http2.createServer({ settings: { enableConnectProtocol: true } })
  app.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.respond(head as http2.OutgoingHttpHeaders)
    stream.once('data', () => stream.end())
  })
  const server = await serve(app, { grace: GRACE })
  const { session } = await connect(server)
  const socket = session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/',
      ':scheme': 'http',
      ':authority': 'x',
    },
    { endStream: false },
  )
  const told = once(socket, 'data')
  await once(socket, 'response')
  expect(server.inFlight()).toMatchObject([{ kind: 'upgrade', method: 'CONNECT' }])
  const closing = server.close()
  const [frame] = (await told) as [Buffer]
  socket.end(frame)
  return { frame, report: await closing }
}

// Node 22 and later take headers in the second form too.
const heads = process.version.startsWith('v20.')
  ? [{ ':status': 200 }]
  : [{ ':status': 200 }, [':status', '200']]

test.for(heads)('a WebSocket over HTTP/2 is told to go away: %j', async (head) => {
  const { frame, report } = await farewell(head)
  expect(frame).toEqual(GOING_AWAY)
  expect(report).toMatchObject(graceful)
})

test('what Node refuses to push is refused as it is without portzero', async () => {
  let error: unknown
  const app = http2.createServer().on('stream', (stream) => {
    try {
      stream.pushStream({ ':path': '/pushed' }, undefined)
    } catch (thrown) {
      error = thrown
    }
    stream.respond({}, { endStream: true })
  })
  const server = await serve(app)
  const { session } = await connect(server)
  const answer = session.request({ ':path': '/' }).resume()
  await once(answer, 'close')
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' })
  await server.close()
})
