import http from 'node:http'
import net from 'node:net'
import { Duplex } from 'node:stream'
import Fastify from 'fastify'
import { serve } from 'portzero'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answers, failure, gate } from './support.ts'

/** A factory of apps that count their requests, and say how often one was built and closed. */
function counting(): {
  factory: () => ReturnType<typeof Fastify>
  built(): number
  closed(): number
} {
  let [built, closed] = [0, 0]
  const factory = (): ReturnType<typeof Fastify> => {
    built += 1
    let requests = 0
    const app = Fastify()
    app.get('/', async () => String((requests += 1)))
    app.addHook('onClose', async () => void (closed += 1))
    return app
  }
  return { factory, built: () => built, closed: () => closed }
}

const text = async (response: Promise<Response>): Promise<string> => (await response).text()

describe('restart()', () => {
  test('keeps the port, the app and its state', async () => {
    const { factory, built, closed } = counting()
    await using server = await serve(factory)
    const { url, port } = server
    expect(await text(server.fetch('/'))).toBe('1')
    const report = await server.restart()
    expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect([server.url, server.port]).toEqual([url, port])
    expect(await text(server.fetch('/'))).toBe('2')
    expect(await text(fetch(url))).toBe('3')
    expect([built(), closed()]).toEqual([1, 0])
  })

  test('builds the app anew where it is told to', async () => {
    const { factory, built, closed } = counting()
    await using server = await serve(factory)
    const { url } = server
    expect(await text(server.fetch('/'))).toBe('1')
    await server.restart({ app: 'rebuild' })
    expect(await text(server.fetch('/'))).toBe('1')
    expect(server.url).toBe(url)
    expect([built(), closed()]).toEqual([2, 1])
  })

  test('ends with what a close hook throws, and runs it once', async () => {
    let runs = 0
    const server = await serve(({ onClose }) => {
      onClose(() => {
        runs += 1
        throw new Error('a hook')
      })
      return { fetch: () => new Response('ok') }
    })
    const restarting = failure(server.restart({ app: 'rebuild' }))
    const meanwhile = failure(server.close())
    const error = await restarting
    expect(error.code).toBe('CLOSE_FAILED')
    expect(await meanwhile).toBe(error)
    expect(await failure(server.close())).toBe(error)
    expect(runs).toBe(1)
    expect((await failure(server.restart())).code).toBe('SERVER_CLOSED')
  })

  test('closes connections, so that clients connect again', async () => {
    let connections = 0
    const app = http.createServer((_request, response) => void response.end('ok'))
    app.on('connection', () => (connections += 1))
    await using server = await serve(app)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const get = (): Promise<unknown> =>
      new Promise((resolve, reject) => {
        http
          .get(server.url, { agent }, (response) => response.resume().once('end', resolve))
          .once('error', reject)
      })
    await get()
    await get()
    expect(connections).toBe(1)
    await server.restart()
    await get()
    expect(connections).toBe(2)
  })

  test('brings back a server that had listened already at both of its addresses', async () => {
    const app = http.createServer((_request, response) => void response.end('ok'))
    await listenOn(0, app)
    const { port } = app.address() as net.AddressInfo
    const server = await serve(app)
    const own = `http://127.0.0.1:${port}/`
    for (const url of [server.url, own]) expect(await text(fetch(url))).toBe('ok')
    await server.restart()
    for (const url of [server.url, own]) expect(await text(fetch(url))).toBe('ok')
    await server.close()
    expect(await Promise.all([answers(server.port), answers(port)])).toEqual([false, false])
  })

  test('closes a server of which another address was lost', async () => {
    const reached = gate()
    const app = http.createServer(() => reached.open())
    await listenOn(0, app)
    const { port } = app.address() as net.AddressInfo
    const server = await serve(app)
    const answer = failure(server.fetch('/hang'))
    await reached.opened
    const restarting = failure(server.restart({ grace: 200 }))
    const thief = await takePort(port)
    expect((await restarting).code).toBe('PORT_IN_USE')
    await answer
    await new Promise((resolve) => thief.close(resolve))
    await server.close()
    expect(await Promise.all([answers(server.port), answers(port)])).toEqual([false, false])
  })

  test('brings back a server that the app had closed, which is told of each close', async () => {
    let closed = 0
    const app = http.createServer((_request, response) => void response.end('ok'))
    app.on('close', () => (closed += 1))
    const server = await serve(app)
    await new Promise((resolve) => app.close(resolve))
    await server.restart()
    expect(await text(server.fetch('/'))).toBe('ok')
    expect(closed).toBe(1)
    await server.close()
    expect(closed).toBe(2)
  })

  test('tells a server that the app has closed of it when its last connection is closed', async () => {
    let closed = 0
    const app = http.createServer((_request, response) => {
      response.end('ok')
      if (closed === 0) app.close()
    })
    app.on('close', () => (closed += 1))
    const server = await serve(app)
    expect(await text(server.fetch('/'))).toBe('ok')
    expect(closed).toBe(0)
    await server.restart()
    expect(await text(server.fetch('/'))).toBe('ok')
    expect(closed).toBe(1)
    await server.close()
    expect(closed).toBe(2)
  })

  test('lets requests in flight finish, and names those that it cuts off', async () => {
    const reached = gate()
    await using server = await serve((_request: unknown, _response: unknown) => reached.open())
    const answer = failure(server.fetch('/hang'))
    await reached.opened
    const report = await server.restart({ grace: 10 })
    expect(report).toMatchObject({ outcome: 'forced', blockers: [{ path: '/hang' }] })
    await answer
    expect(server.inFlight()).toEqual([])
  })

  test('again and again, and several at once, come one after another', async () => {
    const { factory } = counting()
    await using server = await serve(factory)
    for (let round = 0; round < 5; round += 1) await server.restart()
    await Promise.all([server.restart(), server.restart({ app: 'rebuild' }), server.restart()])
    expect(await text(server.fetch('/'))).toBe('1')
  })

  test.each(['keep', 'rebuild'] as const)('is refused if the port was lost (%s)', async (app) => {
    const stolen = gate()
    const target = http.createServer((_request, response) => void response.end('ok'))
    const server = await serve(({ onClose }) => {
      onClose(() => stolen.opened)
      return target
    })
    const reached = gate()
    // Takes the port as soon as it is given up: while a request that is in flight holds up the rest.
    target.removeAllListeners('request')
    target.on('request', () => reached.open())
    const answer = failure(server.fetch('/hang'))
    await reached.opened
    const restarting = failure(server.restart({ app, grace: 200 }))
    const thief = await takePort(server.port)
    stolen.open()
    const error = await restarting
    expect(error.code).toBe('PORT_IN_USE')
    await answer
    await new Promise((resolve) => thief.close(resolve))
    await server.close()
    expect(await answers(server.port)).toBe(false)
  })

  test('that waits for one which loses the port is refused, and leaves nothing there', async () => {
    const reached = gate()
    const server = await serve((_request: unknown, _response: unknown) => reached.open())
    const answer = failure(server.fetch('/hang'))
    await reached.opened
    const first = failure(server.restart({ grace: 200 }))
    const second = failure(server.restart())
    const thief = await takePort(server.port)
    expect((await first).code).toBe('PORT_IN_USE')
    await new Promise((resolve) => thief.close(resolve))
    expect((await second).code).toBe('SERVER_CLOSED')
    await answer
    await server.close()
    expect(await answers(server.port)).toBe(false)
  })

  test('is refused after close()', async () => {
    const server = await serve(counting().factory)
    await server.close()
    expect((await failure(server.restart())).code).toBe('SERVER_CLOSED')
  })

  test('is waited for by a close() that comes meanwhile', async () => {
    const { factory, closed } = counting()
    const server = await serve(factory)
    const restarting = server.restart()
    const report = await server.close()
    await restarting
    expect(report.outcome).toBe('graceful')
    expect(closed()).toBe(1)
    expect(await answers(server.port)).toBe(false)
  })

  test('is given no longer than the grace of a close() that comes meanwhile', async () => {
    const reached = gate()
    const server = await serve((_request: unknown, _response: unknown) => reached.open())
    const answer = failure(server.fetch('/hang'))
    await reached.opened
    const restarting = server.restart({ grace: 1_500 })
    const report = await server.close({ grace: 100 })
    expect(report).toMatchObject({
      outcome: 'forced',
      blockers: [{ kind: 'request', path: '/hang' }],
    })
    expect(report.durationMs).toBeLessThan(750)
    await Promise.all([answer, restarting])
    expect(await answers(server.port)).toBe(false)
  })

  test('is left behind by a close() while the app is built anew, which is closed at once then', async () => {
    const [building, release, closed] = [gate(), gate(), gate()]
    let builds = 0
    const server = await serve(async ({ onClose }) => {
      builds += 1
      if (builds === 2) {
        onClose(closed.open)
        building.open()
        await release.opened
      }
      return { fetch: () => new Response('ok') }
    })
    const restarting = server.restart({ app: 'rebuild' })
    await building.opened
    const report = await server.close({ grace: 100 })
    expect(report).toMatchObject({
      outcome: 'forced',
      blockers: [{ kind: 'hook', method: 'restart' }],
    })
    expect(report.durationMs).toBeLessThan(750)
    release.open()
    await Promise.all([restarting, closed.opened])
    expect(await answers(server.port)).toBe(false)
  })

  test('ends with a close() that the app calls when it is told, and runs each hook once', async () => {
    const closed: number[] = []
    let built = 0
    let end = (): unknown => undefined
    const server = await serve(({ signal, onClose }) => {
      built += 1
      const life = built
      signal.addEventListener('abort', () => void end())
      onClose(() => closed.push(life))
      return { fetch: () => new Response('ok') }
    })
    end = () => server.close()
    await server.restart({ app: 'rebuild' }).catch(() => {})
    await server.close()
    expect(closed).toEqual(Array.from({ length: built }, (_, index) => index + 1))
    expect(await answers(server.port)).toBe(false)
  })

  test('is over when the time of a connection is, though that never tells of its end', async () => {
    const app = http.createServer((_request, response) => void response.end('ok'))
    const stuck = new Duplex({
      read() {},
      write: (_data, _encoding, done) => done(),
      emitClose: false,
    })
    await using server = await serve(app, { grace: 100 })
    app.emit('connection', stuck)
    await server.restart()
    const answer = await fetch(server.url)
    expect(answer.headers.get('connection')).toBe('keep-alive')
    await answer.text()
  })

  test('refuses wrong options, and the server stays', async () => {
    await using server = await serve(counting().factory)
    const wrong = { app: 'again' } as unknown as { app: 'keep' }
    expect((await failure(server.restart(wrong))).code).toBe('INVALID_OPTION')
    expect(await text(server.fetch('/'))).toBe('1')
  })
})

/** Takes the port of a server as soon as that gives it up. */
async function takePort(port: number): Promise<net.Server> {
  for (;;) {
    // A listen() that fails takes no turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve))
    const holder = await listenOn(port, net.createServer()).catch(() => undefined)
    if (holder !== undefined) return holder
  }
}

async function listenOn(port: number, server: net.Server): Promise<net.Server> {
  server.listen(port, '127.0.0.1')
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
  return server
}
