import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { serve } from 'portzero'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'undici'
import { findPython, whyNot } from '../../../scripts/asgi.js'
import { asgiProcess, explainAsgi, pythonFor } from '../dist/processes/asgi.js'
import type { AsgiFailure, AsgiTarget } from '../dist/processes/asgi.js'
import { start } from './asgi-process.ts'
import type { Started } from './asgi-process.ts'
import { failure } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)
const python = findPython()
const apps = fileURLToPath(new URL('../../../fixtures/apps/fastapi', import.meta.url))
const misbehaving = fileURLToPath(new URL('../../../fixtures/misbehaving/asgi', import.meta.url))

interface CoverageReport {
  files: Record<string, { executed_lines: number[] }>
}

/** Tells where imports are looked for, what the arguments are, and whether it can import what is beside our own program. */
const WHICH = `
import importlib.util, json, sys
seen = json.dumps([sys.path[0], sys.argv, importlib.util.find_spec("serve_asgi") is not None])

async def app(scope, receive, send):
    headers = iter([(b"x-type", b"an iterator")])
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": seen.encode()})
`

/** Holds files that only the search for garbage would close. */
const WRITES_LATE = `
class App:
    def __init__(self):
        self.itself = self
        self.text = open("text", "w")
        self.text.write("unwritten")
        self.bytes = open("bytes", "wb")
        self.bytes.write(b"unwritten")

    async def __call__(self, scope, receive, send):
        pass

app = App()
`

/** Begins its answer late, and never ends it. */
const ANSWERS_LATE = `
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(0.1)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * 1_000, "more_body": True})
        await asyncio.Event().wait()
`

/** Ends the events that it answers a POST with when it is asked anything else. */
const ANSWERS_WITH_EVENTS = `
import asyncio

asked = asyncio.Event()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["method"] == "POST":
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\\n\\n", "more_body": True})
        await asked.wait()
    else:
        asked.set()
        await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"data: 2\\n\\n"})
`

/** Blocks its event loop in the middle of an answer, which it ends soon after that. */
const STANDS_STILL = `
import asyncio, time

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"the ", "more_body": True})
        await asyncio.sleep(0.1)
        time.sleep(0.3)
        await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": b"whole" + b" answer" * 60_000})
`

/** Sends an answer of as many bytes as its path says at once. */
const ANSWERS_AT_ONCE = `
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x" * int(scope["path"][1:])})
`

/** Without files of bytecode beside the fixtures. */
const env = { PYTHONDONTWRITEBYTECODE: '1' }

describe('with uvicorn', () => {
  beforeEach(({ skip }) => skip(python === undefined, `not run: asgi (${notRun})`))
  const notRun = python === undefined ? whyNot() : ''

  /** An app of the fixtures. */
  function app(target: Partial<AsgiTarget> = {}): AsgiTarget {
    const { env: more, ...rest } = target
    return { asgi: 'main:app', cwd: apps, python: python!, ...rest, env: { ...env, ...more } }
  }

  async function listening(target: AsgiTarget): Promise<Started> {
    const started = await start(target)
    expect(await started.report()).toEqual({ type: 'listening', pid: started.child.pid })
    return started
  }

  describe('serving', () => {
    test.each([
      ['main:app', false],
      ['main:api.app', false],
      ['main:create_app', true],
      ['main:create_app', false],
    ])('%s answers, with factory: %s', async (asgi, factory) => {
      const { url, child } = await listening(app({ asgi, factory }))
      const response = await fetch(url)
      expect(await response.json()).toEqual({ hello: 'world', pid: child.pid })
    })

    test('a request that is sent before the app is loaded waits and is answered', async () => {
      const { url, child } = await start(app())
      const response = await fetch(url)
      expect(await response.json()).toEqual({ hello: 'world', pid: child.pid })
    })

    test('small answers are sent at once', async () => {
      const { url } = await listening(app())
      const response = await fetch(`${url}/no-delay`)
      expect(await response.text()).toBe('on')
    })

    test('a WebSocket is answered', async () => {
      const { port } = await listening(app())
      const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`)
      await once(socket, 'open')
      socket.send('hello')
      const [message] = (await once(socket, 'message')) as [MessageEvent]
      expect(message.data).toBe('you said hello')
    })

    test('what the app imports is found in its folder first, and not beside the program of ours', async () => {
      const folder = await temporaryFolder()
      await writeFile(join(folder, 'which.py'), WHICH)
      const { url } = await listening(app({ asgi: 'which:app', cwd: folder }))
      const response = await fetch(url)
      expect(await response.json()).toEqual([folder, ['uvicorn', 'which:app'], false])
      expect(response.headers.get('x-type')).toBe('an iterator')
    })
  })

  describe('stopping', () => {
    const graceful = { type: 'done', id: 1, result: { outcome: 'graceful', blockers: [] } }

    test('starts and shuts down its lifespan, and ends with code 0', async () => {
      const life = join(await temporaryFolder(), 'life')
      const { end, report, exited } = await listening(app({ env: { LIFE: life } }))
      expect(await readFile(life, 'utf8')).toBe('startup\n')
      end()
      expect(await report()).toEqual({ type: 'drained', cut: [], hook: 'lifespan' })
      expect(await report()).toMatchObject(graceful)
      expect(await report()).toBeUndefined()
      expect(await exited).toEqual([0, null])
      expect(await readFile(life, 'utf8')).toBe('startup\nshutdown\n')
    })

    test('lets a request in flight finish, whole, while idle connections are closed', async () => {
      const { port, end, report, exited } = await listening(app())
      const idle = net.connect(port, '127.0.0.1')
      idle.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n')
      await once(idle, 'data')
      const request = http.request({ port, path: '/echo', method: 'POST' })
      request.write('one ')
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      end(60_000)
      await once(idle, 'end')
      idle.destroy()
      request.end('two')
      expect(await text(response)).toBe('one two')
      expect(response.complete).toBe(true)
      expect(await report()).toEqual({ type: 'drained', cut: [], hook: 'lifespan' })
      expect(await report()).toMatchObject(graceful)
      expect(await exited).toEqual([0, null])
    })

    test('answers what has arrived when it is told to stop', async () => {
      const gate = join(await temporaryFolder(), 'gate')
      await run('mkfifo', [gate])
      const { port, child, end, exited } = await listening(app({ env: { GATE: gate } }))
      const busy = ask(port, '/busy')
      await once(child.stdout!, 'data')
      // It looks at nothing else until it is let on.
      const others = ['/', '/', '/'].map((path) => ask(port, path))
      await Promise.all(others.map(({ sent }) => sent))
      end()
      await writeFile(gate, 'go on')
      const statuses = [busy, ...others].map(async ({ answer }) => (await answer).slice(0, 15))
      expect(await Promise.all(statuses)).toEqual(Array(4).fill('HTTP/1.1 200 OK'))
      expect(await exited).toEqual([0, null])
    })

    test('answers a client that asks on and on, and says which answer is the last', async () => {
      const { port, end, exited } = await listening(app())
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      let answered = 0
      let isLast = false
      while (!isLast) {
        const request = http.get({ port, agent })
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        await text(response)
        isLast = response.headers.connection === 'close'
        answered += 1
        if (answered === 3) end()
      }
      expect(answered).toBeGreaterThanOrEqual(3)
      expect(await exited).toEqual([0, null])
    })

    test('answers what is pipelined behind a request in flight, and says which answer is the last', async () => {
      const { port, order, report, end, exited } = await listening(app())
      const client = net.connect(port, '127.0.0.1')
      await once(client, 'connect')
      const requests = ['/slow?ms=100', '/', '/slow?ms=100'].map((path) => `GET ${path} HTTP/1.1`)
      client.write(requests.map((line) => `${line}\r\nHost: test\r\n\r\n`).join(''))
      // All that was sent before has arrived then.
      order({ type: 'hear', id: 2 })
      await report()
      end()
      const answers = (await text(client)).split('HTTP/1.1 200').slice(1)
      expect(answers.map((answer) => /^connection: close\r$/im.test(answer))).toEqual([
        false,
        false,
        true,
      ])
      expect(await exited).toEqual([0, null])
    })

    test('cuts off what is still in flight after the grace, and names it', async () => {
      const { port, order, end, report, exited } = await listening(app())
      order({ type: 'hear', id: 2, test: 'lists the todos' })
      expect(await report()).toEqual({ type: 'done', id: 2 })
      const request = http.get({ port, path: '/%66or-ever?page=1' })
      // It is told of the response, which is looked at.
      request.on('error', () => {})
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      await once(response, 'data')
      end(50)
      expect(await failure(text(response))).toMatchObject({ code: 'ECONNRESET' })
      const ageMs = expect.any(Number) as number
      const blockers = [
        {
          kind: 'request',
          method: 'GET',
          path: '/%66or-ever?page=1',
          ageMs,
          test: 'lists the todos',
        },
      ]
      const result = { outcome: 'forced', durationMs: ageMs, blockers }
      expect(await report()).toEqual({ type: 'drained', cut: blockers, hook: 'lifespan' })
      expect(await report()).toEqual({ type: 'done', id: 1, result })
      expect(await exited).toEqual([0, null])
    })

    test('gives what is ready a moment where the event loop stood still until the grace was over', async () => {
      const cwd = await temporaryFolder()
      await writeFile(join(cwd, 'main.py'), STANDS_STILL)
      const { port, end, exited } = await listening(app({ cwd }))
      const client = net.connect(port).setEncoding('utf8')
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
      await once(client, 'readable')
      end(150)
      expect(await exited).toEqual([0, null])
      // What its client had not read by then is not lost either.
      expect(await text(client)).toMatch(
        /\r\nthe \r\n[^]*\r\nwhole(?: answer){60000}\r\n0\r\n\r\n$/,
      )
    })

    test('names an answer that its client has not read when the grace is over, and resets it', async () => {
      const cwd = await temporaryFolder()
      await writeFile(join(cwd, 'main.py'), ANSWERS_AT_ONCE)
      const server = await serve(app({ cwd }), { grace: 50 })
      const request = http.get(`${server.url}/50000000`)
      request.on('error', () => {})
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path: '/50000000' }]))
      expect(await server.close()).toMatchObject({
        outcome: 'forced',
        blockers: [{ kind: 'request', path: '/50000000' }],
      })
      expect(await failure(text(response))).toMatchObject({ code: 'ECONNRESET' })
    })

    test('waits for nothing once its connections are reset', async () => {
      const { port, child, order, end, report, exited } = await listening(app())
      const { answer } = ask(port, '/silent')
      await once(child.stdout!, 'data')
      end(60_000)
      order({ type: 'cut' })
      expect(await failure(answer)).toMatchObject({ code: 'ECONNRESET' })
      expect(await report()).toMatchObject({ type: 'drained', cut: [{ path: '/silent' }] })
      expect(await exited).toEqual([0, null])
    })

    test('makes no answer of its own for a request that it cuts off', async () => {
      const { port, child, end, exited } = await listening(app())
      const { answer } = ask(port, '/silent')
      await once(child.stdout!, 'data')
      end(0)
      expect(await failure(answer)).toMatchObject({ code: 'ECONNRESET' })
      expect(await exited).toEqual([0, null])
    })

    test.each(['/sync', '/to-thread'])(
      'does not wait for the thread that works for what it cuts off: %s',
      async (path) => {
        const server = await serve(app({ asgi: 'threads_hang:app', cwd: misbehaving }))
        const answer = failure(server.fetch(path))
        await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path }]))
        const report = await server.close({ grace: 50 })
        expect(report).toMatchObject({ outcome: 'forced', blockers: [{ path }] })
        expect(server.output).toContain('at exit')
        expect(await answer).toMatchObject({ code: 'SERVER_CLOSED' })
      },
    )

    test.each(['shutdown_fails:app', 'shutdown_raises:app'])(
      'tells why %s failed',
      async (asgi) => {
        const target = app({ asgi, cwd: misbehaving })
        const { end, report, exited } = await listening(target)
        end()
        const message = 'RuntimeError: the database is gone'
        const traceback = expect.stringMatching(/^Traceback/) as string
        const { result } = graceful
        expect(await report()).toEqual({ type: 'drained', cut: [], hook: 'lifespan' })
        expect(await report()).toMatchObject({
          type: 'closeFailed',
          message,
          traceback,
          report: result,
        })
        expect(await exited).toEqual([0, null])
      },
    )

    test('names a lifespan that hangs', async () => {
      const target = app({ asgi: 'shutdown_hangs:app', cwd: misbehaving })
      const { end, report, exited } = await listening(target)
      end(50)
      expect(await report()).toEqual({ type: 'drained', cut: [], hook: 'lifespan' })
      const hook = { kind: 'hook', method: 'lifespan', path: '' }
      expect(await report()).toMatchObject({ result: { outcome: 'forced', blockers: [hook] } })
      expect(await exited).toEqual([0, null])
    })

    test('answers all that is in flight when it is asked by a signal, and ends', async () => {
      const gate = join(await temporaryFolder(), 'gate')
      await run('mkfifo', [gate])
      const { port, child, exited } = await listening(app({ env: { GATE: gate } }))
      const { answer } = ask(port, '/child')
      await once(child.stdout!, 'data')
      child.kill('SIGTERM')
      await writeFile(gate, 'go on')
      expect(await answer).toMatch(/^HTTP\/1.1 200 OK/)
      expect(await exited).toEqual([0, null])
    })

    test('gives up a start that hangs', async () => {
      const target = app({ asgi: 'lifespan_hangs:app', cwd: misbehaving })
      const { child, report, exited, printed } = await start(target)
      await once(child.stdout!, 'data')
      child.kill('SIGTERM')
      expect(await report()).toBeUndefined()
      expect(await exited).toEqual([0, null])
      expect(await printed).toContain('given up')
    })

    test('what the app has not written yet is written', async () => {
      const folder = await temporaryFolder()
      await writeFile(join(folder, 'writes.py'), WRITES_LATE)
      const { child, exited } = await listening(app({ asgi: 'writes:app', cwd: folder }))
      child.kill('SIGTERM')
      expect(await exited).toEqual([0, null])
      expect(await readFile(join(folder, 'text'), 'utf8')).toBe('unwritten')
      expect(await readFile(join(folder, 'bytes'), 'utf8')).toBe('unwritten')
    })

    test('what is due at exit is done: coverage is written', async () => {
      const folder = await temporaryFolder()
      const [data, settings] = [join(folder, 'data'), join(folder, 'settings')]
      const startup = 'import coverage\ncoverage.process_startup()\n'
      await writeFile(join(folder, 'sitecustomize.py'), startup)
      await writeFile(settings, `[run]\ndata_file = ${data}\ninclude = */main.py\n`)
      const variables = { PYTHONPATH: folder, COVERAGE_PROCESS_START: settings }
      const { child, exited } = await listening(app({ env: variables }))
      child.kill('SIGTERM')
      expect(await exited).toEqual([0, null])
      const json = join(folder, 'json')
      await run(python!, ['-m', 'coverage', 'json', '--data-file', data, '-o', json], { cwd: apps })
      const report = JSON.parse(await readFile(json, 'utf8')) as CoverageReport
      const file = 'main.py'
      const lines = (await readFile(join(apps, file), 'utf8')).split('\n')
      expect(report.files[file]?.executed_lines).toContain(
        lines.indexOf('    note("shutdown")') + 1,
      )
    })
  })

  describe('its owner', () => {
    test('is told what is in flight when it reads, and holds nothing up when it does not', async () => {
      const folder = await temporaryFolder()
      await writeFile(join(folder, 'which.py'), WHICH)
      const { url, end, report, exited } = await start(app({ asgi: 'which:app', cwd: folder }))
      // What is told of so many is more than the line holds.
      const query = 'x'.repeat(5_000)
      for (let asked = 0; asked < 200; asked += 1) {
        await (await fetch(`${url}/?${query}`)).text()
      }
      end()
      expect(await report()).toMatchObject({ type: 'listening' })
      expect(await report()).toMatchObject({ type: 'drained' })
      expect(await report()).toMatchObject({ result: { outcome: 'graceful' } })
      expect(await exited).toEqual([0, null])
    })

    test('is told how much of an answer was sent, also if that begins late', async () => {
      const folder = await temporaryFolder()
      await writeFile(join(folder, 'late.py'), ANSWERS_LATE)
      await using server = await serve(app({ asgi: 'late:app', cwd: folder }), { grace: 0 })
      server.fetch('/').catch(() => {})
      await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ bytesSent: 0 }]))
      await vi.waitFor(() => expect(server.inFlight()[0]?.bytesSent).toBeGreaterThanOrEqual(1_000))
    })

    test('waits for neither event streams nor WebSockets when it waits until the app is idle', async () => {
      await using server = await serve(app(), { grace: 0 })
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/socket`)
      await once(socket, 'open')
      await server.fetch('/events')
      await server.idle()
      const streams = [
        { kind: 'upgrade', path: '/socket' },
        { kind: 'stream', path: '/events', bytesSent: expect.any(Number) as number },
      ]
      expect(server.inFlight()).toMatchObject(streams)
    })

    test('waits for events that answer a POST', async () => {
      const folder = await temporaryFolder()
      await writeFile(join(folder, 'events.py'), ANSWERS_WITH_EVENTS)
      await using server = await serve(app({ asgi: 'events:app', cwd: folder }))
      const response = await server.fetch('/', { method: 'POST' })
      const inFlight = [{ kind: 'request', method: 'POST' }]
      await vi.waitFor(() => expect(server.inFlight()).toMatchObject(inFlight))
      const idle = server.idle()
      await server.fetch('/')
      await idle
      expect(await response.text()).toBe('data: 1\n\ndata: 2\n\n')
    })

    test('has what the app needs kept alive until it is answered', async () => {
      const gate = join(await temporaryFolder(), 'gate')
      await run('mkfifo', [gate])
      const server = await serve(app({ env: { GATE: gate } }), { grace: 60_000 })
      onTestFinished(() => void server.close({ grace: 0 }))
      const idle = net.connect(server.port, '127.0.0.1')
      await once(idle, 'connect')
      const answer = server.fetch('/child').then((response) => response.json())
      await vi.waitFor(() => expect(server.output).toContain('child'))
      const closing = server.close()
      idle.resume()
      await once(idle, 'end')
      idle.destroy()
      await writeFile(gate, 'go on')
      expect(await answer).toEqual({ code: 0 })
      expect(await closing).toMatchObject({ outcome: 'graceful' })
    })

    test('hears that the lifespan failed to shut down: CLOSE_FAILED', async () => {
      const server = await serve(app({ asgi: 'shutdown_fails:app', cwd: misbehaving }))
      const error = await failure(server.close())
      expect(error).toMatchObject({
        code: 'CLOSE_FAILED',
        message: `The server at ${server.url} is closed, but its lifespan failed to shut down: RuntimeError: the database is gone`,
        report: { outcome: 'graceful', blockers: [] },
      })
      expect((error.cause as Error).stack).toMatch(/^Traceback/)
    })

    test('is told of a lifespan that blocks', async () => {
      const server = await serve(app({ asgi: 'shutdown_blocks:app', cwd: misbehaving }))
      const report = await server.close({ grace: 50 })
      const blockers = [{ kind: 'hook', method: 'lifespan' }]
      expect(report).toMatchObject({ outcome: 'killed', blockers })
    })

    test.each([
      [100, []],
      [60_000, [{ kind: 'request', path: '/wait?ms=60000' }]],
    ])(
      'is told once of a request of %i ms before a lifespan that blocks, if it was cut off',
      async (ms, cut) => {
        const server = await serve(app({ asgi: 'shutdown_blocks:app', cwd: misbehaving }))
        const path = `/wait?ms=${ms}`
        server.fetch(path).catch(() => {})
        await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path }]))
        const { blockers } = await server.close({ grace: 300 })
        expect(blockers).toMatchObject([...cut, { kind: 'hook' }])
      },
    )
  })

  describe('a start that fails', () => {
    test.each([
      [
        'no_such_module:app',
        'APP_NOT_FOUND',
        `There is no app 'no_such_module:app' in ${misbehaving}: there is no module 'no_such_module'. The module is imported from the target's 'cwd'.`,
      ],
      [
        'attribute_missing:app',
        'APP_NOT_FOUND',
        `There is no app 'attribute_missing:app' in ${misbehaving}: the module 'attribute_missing' has no attribute 'app'. It has: application, create_app.`,
      ],
      [
        'attribute_missing:settings',
        'APP_NOT_FOUND',
        `There is no app 'attribute_missing:settings' in ${misbehaving}: attribute_missing:settings is of the type dict, which is no app. It has: application, create_app.`,
      ],
      [
        'import_fails:app',
        'APP_FAILED',
        "The app 'import_fails:app' failed while it was loaded: ValueError: no password was given",
      ],
      [
        'dependency_missing:app',
        'APP_FAILED',
        "The app 'dependency_missing:app' failed while it was loaded: ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
      ],
      [
        'exits:app',
        'APP_FAILED',
        "The app 'exits:app' failed while it was loaded: SystemExit: SECRET_KEY is not set",
      ],
      [
        'factory_fails:create_app',
        'APP_FAILED',
        "The app 'factory_fails:create_app' failed while it was loaded: TypeError: create_app() missing 1 required positional argument: 'settings'",
        { factory: true },
      ],
      [
        'lifespan_fails:app',
        'LIFESPAN_FAILED',
        "The app 'lifespan_fails:app' failed to start, in its lifespan: RuntimeError: the database is down",
      ],
    ])('%s: %s', async (asgi, code, message, more: Partial<AsgiTarget> = {}) => {
      const { report, exited } = await start(app({ asgi, cwd: misbehaving, ...more }))
      const error = explainAsgi((await report()) as AsgiFailure)
      expect(error).toMatchObject({ code, message })
      expect(await report()).toBeUndefined()
      expect(await exited).toEqual([3, null])
    })

    test('has the traceback of the app as the stack of its cause', async () => {
      const { report } = await start(app({ asgi: 'import_fails:app', cwd: misbehaving }))
      const { cause } = explainAsgi((await report()) as AsgiFailure)
      expect((cause as Error).stack).toBe(
        [
          'Traceback (most recent call last):',
          `  File "${misbehaving}/import_fails.py", line 10, in <module>`,
          '    connect()',
          `  File "${misbehaving}/import_fails.py", line 7, in connect`,
          '    raise ValueError("no password was given")',
          'ValueError: no password was given',
        ].join('\n'),
      )
    })

    test('without uvicorn: PYTHON_MODULE_MISSING', async () => {
      // Isolated: what is installed beside the interpreter is not seen.
      const bare = join(await temporaryFolder(), 'python')
      await writeFile(bare, `#!/bin/sh\nexec '${python}' -S "$@"\n`)
      await chmod(bare, 0o755)
      const { report, exited } = await start(app({ python: bare }))
      const error = explainAsgi((await report()) as AsgiFailure)
      expect(error.code).toBe('PYTHON_MODULE_MISSING')
      expect(error.message).toContain(
        "cannot import it: ModuleNotFoundError: No module named 'uvicorn'",
      )
      expect(error.message).toContain('-m pip install uvicorn`')
      expect(await exited).toEqual([3, null])
    })
  })

  /** A request on a connection of its own. */
  function ask(port: number, path: string): { sent: Promise<unknown>; answer: Promise<string> } {
    const socket = net.connect(port, '127.0.0.1')
    const sent = new Promise((resolve) =>
      socket.write(`GET ${path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n`, resolve),
    )
    const answer = text(socket)
    answer.catch(() => {})
    return { sent, answer }
  }
})

describe('the interpreter', () => {
  /** A folder with programs of these names, and nothing else on the PATH. */
  async function programs(...names: string[]): Promise<{ folder: string; env: { PATH: string } }> {
    const folder = await temporaryFolder()
    for (const name of names) {
      const path = join(folder, name)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, '', { mode: 0o755 })
    }
    await mkdir(join(folder, 'src/shop'), { recursive: true })
    return { folder, env: { PATH: join(folder, 'bin') } }
  }

  const all = [
    'active/bin/python',
    'src/.venv/bin/python',
    'venv/bin/python',
    'bin/python3',
    'bin/python',
    'mine',
  ]

  test.each([
    [
      'the one that is asked for, from the working directory',
      { python: '../../mine' },
      all,
      'mine',
    ],
    ['the one that is asked for, on the PATH', { python: 'python' }, all, 'bin/python'],
    ['that of the active environment', {}, all, 'active/bin/python'],
    ['that of .venv in a folder above', {}, all.slice(1), 'src/.venv/bin/python'],
    ['that of venv in a folder further above', {}, all.slice(2), 'venv/bin/python'],
    ['python3 on the PATH', {}, all.slice(3), 'bin/python3'],
    ['python on the PATH', {}, all.slice(4), 'bin/python'],
  ])('is %s', async (_, target, names, expected) => {
    const { folder, env: path } = await programs(...names)
    const variables = { ...path, VIRTUAL_ENV: join(folder, 'active') }
    const cwd = join(folder, 'src/shop')
    const found = await pythonFor({ asgi: 'main:app', cwd, env: variables, ...target })
    expect(found).toBe(join(folder, expected))
  })

  test('that is nowhere: says where it was looked for', async () => {
    const { folder: cwd, env: path } = await programs()
    const target = { asgi: 'main:app', cwd, env: { ...path, VIRTUAL_ENV: '' } }
    const error = await failure(pythonFor(target))
    expect(error.code).toBe('PYTHON_MISSING')
    expect(error.message).toBe(
      'There is no Python to run the app with: VIRTUAL_ENV is not set, ' +
        `there is no .venv or venv with a bin/python in ${cwd} or above, and no python3 or python on the PATH. ` +
        "Install Python, make a virtual environment, or name an interpreter with the target's 'python'.",
    )
  })

  test.each([
    ['./mine', (cwd: string) => `'./mine' is asked for, from ${cwd}. `],
    ['python4', () => "'python4' is asked for, and is not on the PATH. "],
  ])('that is asked for, %s, and is not there: PYTHON_MISSING', async (name, reason) => {
    const { folder: cwd, env: path } = await programs('bin/python3')
    const error = await failure(pythonFor({ asgi: 'main:app', cwd, env: path, python: name }))
    expect(error.code).toBe('PYTHON_MISSING')
    expect(error.message).toContain(reason(cwd))
  })
})

test.each(['main', 'main:', ':app', 'main.app', ''])(
  'the name %j is refused: INVALID_TARGET',
  async (asgi) => {
    const error = await failure(asgiProcess({ asgi }))
    expect(error.code).toBe('INVALID_TARGET')
    expect(error.message).toContain(`such as 'main:app'. Got the string "${asgi}".`)
  },
)
