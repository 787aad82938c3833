import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { serve } from 'portzero'
import type { LiveServer, PortzeroError, ServeOptions, Target } from 'portzero'
import { request } from 'undici'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { findPython, whyNot } from '../../../scripts/asgi.js'
import { turns } from '../dist/turns.js'
import { answers, failure, holdPort } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'

const python = findPython()
const folder = new URL('../../../fixtures/apps/contract/', import.meta.url)
const cwd = fileURLToPath(folder)
const app = new URL('app.js', folder)

interface Runtime {
  readonly name: string
  readonly target: Target
  readonly options?: ServeOptions
  /** It is known what is in flight, and its connections can be reset. */
  readonly governed: boolean
  /** Its server can be taken off its socket and put back. As `governed`, if it does not say. */
  readonly pauses?: boolean
  /** Why it cannot be tried here. */
  readonly notRun?: string
  /** It has a process or thread of its own. */
  readonly apart: boolean
}

const runtimes: Runtime[] = [
  { name: 'inline', target: app, governed: true, apart: false },
  { name: 'thread', target: app, options: { isolation: 'thread' }, governed: true, apart: true },
  { name: 'process', target: app, options: { isolation: 'process' }, governed: true, apart: true },
  {
    name: 'process that starts itself',
    target: new URL('start.js', folder),
    options: { isolation: 'process' },
    governed: true,
    apart: true,
  },
  {
    name: 'command',
    target: { command: [process.execPath, 'start.js'], cwd },
    governed: true,
    apart: true,
  },
  {
    name: 'command through a shell',
    target: { command: 'true && node start.js', cwd },
    governed: true,
    apart: true,
  },
  {
    name: 'command on a port',
    target: { command: 'sh by-port.sh {port} {host}', cwd },
    governed: false,
    apart: true,
  },
  {
    name: 'command that is mistaken for one that can inherit',
    target: { command: 'NODE_OPTIONS= node by-port.js {port} {host}', cwd },
    governed: false,
    apart: true,
  },
  {
    name: 'asgi',
    target: { asgi: 'asgi:app', cwd, ...(python !== undefined && { python }) },
    governed: true,
    pauses: false,
    apart: true,
    ...(python === undefined && { notRun: whyNot() }),
  },
]

/** Without the preload, which would put it on the socket anyway. */
const SERVES_FD =
  "require('http').createServer((q, r) => r.end(JSON.stringify({ pid: process.pid, answered: 1 }))).listen({ fd: Number(process.argv[1]) })"

/** Asks with no pause, each time when it has the answer to what it asked before, until nothing listens any more. */
async function untilRefused(url: string, agent: http.Agent, answered: () => void): Promise<void> {
  for (;;) {
    const asked = http.get(url, { agent })
    try {
      const [response] = (await once(asked, 'response')) as [http.IncomingMessage]
      await text(response)
      answered()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return
    }
  }
}

interface Hello {
  readonly pid: number
  readonly answered: number
}

function canPause({ governed, pauses = governed }: Runtime): boolean {
  return pauses
}

async function hello(server: LiveServer): Promise<Hello> {
  return (await (await server.fetch('/')).json()) as Hello
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** What each test begins with. */
function begin({
  target,
  options = {},
  notRun,
}: Runtime): (more?: ServeOptions) => Promise<LiveServer> {
  beforeEach(({ skip }) => skip(notRun !== undefined, `not run: asgi (${notRun})`))
  return async (more = {}) => {
    const server = await serve(target, { ...options, ...more })
    onTestFinished(() => void server.close().catch(() => {}))
    return server
  }
}

describe.each(runtimes)('$name', (runtime) => {
  const { target, options = {}, apart } = runtime
  const start = begin(runtime)

  test('serves on a port of its own, several at once, and is gone when it is closed', async () => {
    const servers = await Promise.all([start(), start(), start()])
    expect(new Set(servers.map(({ port }) => port)).size).toBe(3)
    for (const server of servers) {
      const { pid, answered } = await hello(server)
      // A module that is loaded here is loaded for each; what it says of itself is its own.
      expect(answered).toBe(1)
      expect(server.pid === undefined || pid !== process.pid).toBe(true)
      expect(server.url).toBe(`http://127.0.0.1:${server.port}`)
    }
    const pids = servers.flatMap(({ pid }) => pid ?? [])
    const reports = await Promise.all(servers.map((server) => server.close()))
    expect(reports).toMatchObject(servers.map(() => ({ outcome: 'graceful', blockers: [] })))
    expect(pids.filter(isAlive)).toEqual([])
    for (const { port } of servers) expect(await answers(port)).toBe(false)
  })

  test('receives bodies whole', async () => {
    const server = await start()
    const body = 'x'.repeat(1_000_000)
    const response = await server.fetch('/echo', { method: 'POST', body })
    expect(await response.text()).toBe(body)
  })

  test('lets a request in flight finish, and closes once', async () => {
    const server = await start()
    await hello(server)
    const answer = server.fetch('/wait?ms=200').then((response) => response.text())
    const [first, second] = await Promise.all([server.close(), server.close()])
    expect(await answer).toBe('done')
    expect(first).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect(second).toBe(first)
    const refused = await failure(server.fetch('/'))
    expect(refused.code).toBe('SERVER_CLOSED')
  })

  test('cuts off what outlasts the grace', async () => {
    const server = await start({ grace: 100 })
    await hello(server)
    const cut = failure(server.fetch('/never'))
    const startedAt = performance.now()
    const report = await server.close()
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(95)
    expect(report).toMatchObject({
      outcome: 'forced',
      blockers: [{ kind: 'request', method: 'GET', path: '/never' }],
    })
    expect(await cut).toBeInstanceOf(Error)
    expect(await answers(server.port)).toBe(false)
  })

  test('gives requests the grace of its closing, whatever its own is', async () => {
    const patient = await start({ grace: 20 })
    await hello(patient)
    const answer = patient.fetch('/wait?ms=200').then((response) => response.text())
    expect(await patient.close({ grace: 60_000 })).toMatchObject({ outcome: 'graceful' })
    expect(await answer).toBe('done')
    const hasty = await start({ grace: 60_000 })
    await hello(hasty)
    const cut = failure(hasty.fetch('/never'))
    expect(await hasty.close({ grace: 20 })).toMatchObject({
      outcome: 'forced',
      blockers: [{ path: '/never' }],
    })
    expect(await cut).toBeInstanceOf(Error)
  })

  test('is not idle while a request is on its way to it', async () => {
    const server = await start()
    let isAnswered = false
    const answer = server.fetch('/wait?ms=100').then(() => (isAnswered = true))
    await server.idle()
    expect(isAnswered).toBe(true)
    await answer
  })

  test('has the environment that it is given', async () => {
    const server = await start(apart ? { env: { COLOUR: 'teal' } } : {})
    if (!apart) process.env['COLOUR'] = 'teal'
    expect(await (await server.fetch('/env?name=COLOUR')).text()).toBe('teal')
    delete process.env['COLOUR']
  })

  test('is built anew by a restart, on the same port', async () => {
    const server = await start()
    const { dispatcher } = server
    const before = await hello(server)
    const { outcome } = await server.restart({ app: 'rebuild' })
    expect(outcome).toBe('graceful')
    const after = await hello(server)
    expect(after.answered).toBe(1)
    const { body } = await request(server.url, { dispatcher })
    expect(await body.json()).toMatchObject({ answered: 2 })
    expect(server.pid === undefined || after.pid !== before.pid).toBe(true)
  })

  test('is reached by its advertised name', async () => {
    const server = await start({ advertise: 'app.invalid' })
    expect(server.url).toBe(`http://app.invalid:${server.port}`)
    expect(server.host).toBe('127.0.0.1')
    await hello(server)
    const response = await server.fetch(`${server.url}/`)
    expect(await response.json()).toMatchObject({ answered: 2 })
    await server.restart({ app: 'rebuild' })
    expect(await (await server.fetch(new URL('/', server.url))).json()).toMatchObject({
      answered: 1,
    })
  })

  test('is listed as in use when its port is taken', async () => {
    const holder = await holdPort(0)
    onTestFinished(() => void holder.close())
    const { port } = holder.address() as { port: number }
    const error = await failure(serve(target, { ...options, host: '127.0.0.1', port }))
    expect(error.code).toBe('PORT_IN_USE')
  })

  test('is ready when its path answers', async () => {
    const server = await start({ ready: '/' })
    expect((await hello(server)).answered).toBe(2)
    const error = await failure(
      serve(target, { ...options, ready: '/nowhere', startTimeout: 1_500 }),
    )
    expect(error.code).toBe('NOT_READY')
    expect(error.message).toContain('404')
  })
})

describe.each(runtimes.filter(({ governed }) => governed))('$name', (runtime) => {
  const start = begin(runtime)

  test('knows what is in flight', async () => {
    const server = await start({ grace: 50 })
    const waiting = server.fetch('/wait?ms=300').then((response) => response.text())
    await vi.waitFor(() =>
      expect(server.inFlight()).toMatchObject([{ kind: 'request', path: '/wait?ms=300' }]),
    )
    await server.idle()
    expect(await waiting).toBe('done')
    await vi.waitFor(() => expect(server.inFlight()).toEqual([]))
  })

  test('knows what has become of that', async () => {
    const server = await start()
    const stream = await server.fetch('/events')
    await vi.waitFor(() => {
      const [events] = server.inFlight()
      expect(events).toMatchObject({ kind: 'stream', path: '/events' })
      expect(events?.bytesSent).toBeGreaterThan(0)
    })
    await stream.body?.cancel()
  })

  test('knows what stays in flight while other requests come and go', async () => {
    const server = await start({ grace: 50 })
    const waiting = new Map<string, AbortController>()
    // An answer that nobody holds is given up when memory is collected.
    const held: Response[] = []
    for (const path of ['/events?1', '/events?2', '/events?3', '/events?4']) {
      const asked = new AbortController()
      waiting.set(path, asked)
      held.push(await server.fetch(path, { signal: asked.signal }))
      const paths = [...waiting.keys()]
      await vi.waitFor(() => expect(server.inFlight().map((one) => one.path)).toEqual(paths))
    }
    const isLeft = async (paths: readonly string[]): Promise<void> => {
      await hello(server)
      await vi.waitFor(() => expect(server.inFlight().map((one) => one.path)).toEqual(paths))
    }
    await isLeft(['/events?1', '/events?2', '/events?3', '/events?4'])
    waiting.get('/events?2')?.abort()
    await isLeft(['/events?1', '/events?3', '/events?4'])
    waiting.get('/events?4')?.abort()
    await isLeft(['/events?1', '/events?3'])
    held.push(await server.fetch('/events?2'))
    await isLeft(['/events?1', '/events?3', '/events?2'])
    expect(held).toHaveLength(5)
  })

  test('tells clients that ask on and on which answer is the last', async () => {
    const server = await start()
    const agent = new http.Agent({ keepAlive: true })
    let answered = 0
    const clients = ['/', '/', '/wait?ms=1', '/wait?ms=5'].map((path) =>
      untilRefused(`${server.url}${path}`, agent, () => (answered += 1)),
    )
    await vi.waitFor(() => expect(answered).toBeGreaterThan(100))
    const { outcome, durationMs } = await server.close({ grace: 2_000 })
    expect(outcome).toBe('graceful')
    // Less than clients get that send requests before they have the answers to those before.
    expect(durationMs).toBeLessThan(400)
    await Promise.all(clients)
    agent.destroy()
  })

  test('resets all connections, and goes on', async () => {
    const server = await start({ grace: 50 })
    const cut = failure(server.fetch('/never'))
    await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path: '/never' }]))
    server.dropConnections()
    expect(await cut).toBeInstanceOf(Error)
    expect((await hello(server)).answered).toBe(1)
  })
})

describe.each(runtimes.filter(canPause))('$name', (runtime) => {
  const start = begin(runtime)

  test('goes down and up again without delay while it is asked on and on', async () => {
    const server = await start({ grace: 5_000 })
    const over = new AbortController()
    let answered = 0
    const refusals = new Set<string>()
    const asking = (async () => {
      while (!over.signal.aborted) {
        try {
          await (await server.fetch('/')).text()
          answered += 1
        } catch (error) {
          refusals.add((error as PortzeroError).code)
          await turns(1)
        }
      }
    })()
    await vi.waitFor(() => expect(answered).toBeGreaterThan(20))
    for (let times = 0; times < 5; times += 1) {
      const { outcome, durationMs } = await server.restart()
      expect(outcome).toBe('graceful')
      expect(durationMs).toBeLessThan(500)
    }
    over.abort()
    await asking
    expect([...refusals].filter((code) => code !== 'SERVER_CLOSED')).toEqual([])
  })

  test('goes down and up again with its state', async () => {
    const server = await start()
    const { dispatcher } = server
    await hello(server)
    await server.restart()
    const { body } = await request(server.url, { dispatcher })
    expect(await body.json()).toMatchObject({ answered: 2 })
  })
})

describe.each(runtimes.filter((runtime) => !canPause(runtime)))('$name', (runtime) => {
  const start = begin(runtime)

  test('says that it can only be built anew', async () => {
    const server = await start()
    const error = await failure(server.restart())
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain("restart({ app: 'rebuild' })")
    expect(await hello(server)).toMatchObject({ answered: 1 })
  })
})

describe.each(runtimes.filter(({ governed }) => !governed))('$name', (runtime) => {
  const start = begin(runtime)

  test('says that its connections cannot be reset', async () => {
    const server = await start()
    expect(() => server.dropConnections()).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining(server.url) as string,
      }),
    )
    expect(await hello(server)).toMatchObject({ answered: 1 })
  })
})

describe.each(runtimes.filter(({ apart }) => apart))('$name', (runtime) => {
  const { target, options = {}, governed } = runtime
  const start = begin(runtime)

  test('is ready when its output says so', async () => {
    const server = await start({ ready: /app is loaded$/ })
    expect(server.output).toContain('the app is loaded')
    const error = await failure(
      serve(target, { ...options, ready: /never said/, startTimeout: 1_500 }),
    )
    expect(error.code).toBe('NOT_READY')
    expect(error.message).toContain('/never said/: no line of its output matches')
  })

  test('keeps what it prints', async () => {
    const server = await start()
    await (await server.fetch('/print?line=a-line')).text()
    await vi.waitFor(() => expect(server.output).toContain('a-line'))
    expect(server.output).toContain('the app is loaded')
  })

  test('says that it has died, and how', async () => {
    const server = await start()
    await (await server.fetch('/print?line=last-words')).text()
    const error = await failure(server.fetch('/exit?code=7'))
    expect(error.code).toBe('SERVER_DIED')
    expect(error.message).toContain('exit code 7')
    expect(error.message).toContain('last-words')
    expect(await server.exited).toEqual({ code: 7, signal: null })
    expect((await failure(server.fetch('/'))).code).toBe('SERVER_DIED')
    expect(await server.close()).toMatchObject({ outcome: 'killed', blockers: [] })
  })

  test('that has died is idle, and refuses a restart that keeps its app', async () => {
    const server = await start()
    await failure(server.fetch('/exit?code=7'))
    await server.idle()
    const error = await failure(server.restart({ app: 'keep' }))
    expect(error.code).toBe(canPause(runtime) ? 'SERVER_DIED' : 'INVALID_OPTION')
    expect(await server.close()).toMatchObject({ outcome: 'killed' })
    await server.idle()
  })

  test('has not ended by itself when it is closed', async () => {
    const server = await start()
    let hasExited = false
    void server.exited.then(() => (hasExited = true))
    await server.close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(hasExited).toBe(false)
  })

  test('is ended by force when it blocks, in little more than the grace', async () => {
    const server = await start({ grace: 200 })
    await hello(server)
    const cut = failure(server.fetch('/spin?ms=20000'))
    // It has to be there before the closing begins.
    await new Promise((resolve) => setTimeout(resolve, 100))
    const report = await server.close()
    // Another program has ended when it was asked to, whatever it was at.
    expect(report.outcome).toMatch(governed ? /killed/ : /killed|forced/)
    expect(report.blockers).toMatchObject([{ path: '/spin?ms=20000' }])
    expect(report.durationMs).toBeLessThan(5_000)
    expect(await cut).toBeInstanceOf(Error)
    expect(isAlive(server.pid ?? 0)).toBe(server.pid === undefined)
  })

  test('names what we have asked while it was blocked, though it has not heard of it', async () => {
    const server = await start({ grace: 100 })
    await (await server.fetch('/spin-later?ms=20000')).text()
    await new Promise((resolve) => setTimeout(resolve, 100))
    const cut = server.fetch('/').catch(() => {})
    const { blockers } = await server.close()
    expect(blockers).toMatchObject([{ kind: 'request', method: 'GET', path: '/' }])
    await cut
  })
})

describe.each(runtimes.filter(({ apart }) => !apart))('$name', (runtime) => {
  const { target, options = {} } = runtime
  begin(runtime)

  test('has no output to look in', async () => {
    const error = await failure(serve(target, { ...options, ready: /anything/ }))
    expect(error.code).toBe('INVALID_OPTION')
  })
})

describe.each(runtimes.filter(({ apart, options }) => apart && options === undefined))(
  '$name',
  (runtime) => {
    const start = begin(runtime)

    test('is told its place', async () => {
      const server = await start({ slot: 3, workerId: 'w7' })
      const told = async (name: string): Promise<string> =>
        (await server.fetch(`/env?name=${name}`)).text()
      expect([await told('PORTZERO_SLOT'), await told('PORTZERO_WORKER_ID')]).toEqual(['3', 'w7'])
    })
  },
)

test.each<[string, Target, ServeOptions, RegExp]>([
  ['an app', { fetch: () => new Response() }, { isolation: 'thread' }, /must be a module/],
  ['a factory', () => {}, { isolation: 'process' }, /must be a module/],
  ['a command', { command: 'node start.js' }, { isolation: 'process' }, /must be left out/],
  ['a command', { command: 'node start.js' }, { https: true }, /'https' of serve\(\)/],
  ['an ASGI app', { asgi: 'main:app' }, { http2: true }, /'http2' of serve\(\)/],
])('%s with %o %o is refused before anything starts', async (_what, target, options, says) => {
  const error = await failure(serve(target, options))
  expect(error.code).toBe('INVALID_OPTION')
  expect(error.message).toMatch(says)
})

test('a failed request that was aborted fails at once, and says that', async () => {
  await using server = await serve(app, { isolation: 'thread' })
  const aborted = await failure(server.fetch('/never', { signal: AbortSignal.timeout(20) }))
  expect(aborted.name).toBe('TimeoutError')
})

test.each([
  ['that is not there', { command: ['no-such-program'] }, /exit code 127.*is not installed/],
  ['in a shell that is not there', { command: 'no-such-program; exit 127' }, /exit code 127/],
  [
    'that ends before it listens',
    { command: 'echo the reason; exit 3' },
    /exit code 3.*the reason/s,
  ],
  ['that is killed', { command: 'kill -KILL $$' }, /by SIGKILL/],
])('a command %s says how it failed', async (_what, target, says) => {
  const error = await failure(serve(target))
  expect(error.code).toBe('START_FAILED')
  expect(error.message).toMatch(says)
})

test('a module that fails in a process fails the start with its own error', async () => {
  const broken = new URL('../../misbehaving/throws-while-loading.js', folder)
  for (const isolation of ['thread', 'process'] as const) {
    const error = await failure(serve(broken, { isolation }))
    expect(error.code).toBe('MODULE_FAILED')
    expect(error.message).toContain('the configuration is missing')
    expect((error.cause as Error).stack).toContain('throws-while-loading.js')
  }
})

test.each([
  [
    'without a name',
    "Object.assign(new Error('odd'), { name: undefined, stack: undefined })",
    'odd',
  ],
  [
    'with a message that throws',
    '({ __proto__: Error.prototype, get message() { throw 1 } })',
    'words',
  ],
  [
    'with a cause that throws',
    "Object.defineProperty(new Error('odd'), 'cause', { get() { throw 1 } })",
    'odd',
  ],
  [
    'that causes itself',
    "Object.defineProperty(new Error('odd'), 'cause', { get() { return this } })",
    'odd',
  ],
  ['of no kind', 'Object.create(null)', 'null prototype'],
])('an error %s is told by a thread or process', async (_what, thrown, says) => {
  const file = join(await temporaryFolder(), 'throws.mjs')
  await writeFile(file, `throw ${thrown}`)
  for (const isolation of ['thread', 'process'] as const) {
    const error = await failure(serve(file, { isolation }))
    expect(error.code).toBe('MODULE_FAILED')
    expect(error.message).toContain(says)
  }
})

test.each(['thread', 'process'] as const)(
  'a module that ends its %s while it loads is told of, and that has failed',
  async (isolation) => {
    const file = join(await temporaryFolder(), 'exits.mjs')
    await writeFile(file, 'await null\nprocess.exit(0)')
    const error = await failure(serve(file, { isolation }))
    expect(error.code).toBe('START_FAILED')
    expect(error.message).toContain('The target called process.exit(0) while it was loaded')
    expect(error.message).toContain('with exit code 1')
  },
)

test('a thread or process that dies while it is restarted says so', async () => {
  const file = join(await temporaryFolder(), 'app.mjs')
  const exits = 'setTimeout(() => process.exit(7), 50)'
  await writeFile(file, `export default { fetch: () => new Promise(() => ${exits}) }`)
  for (const isolation of ['thread', 'process'] as const) {
    const server = await serve(file, { isolation, grace: 20_000 })
    const cut = failure(server.fetch('/'))
    await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
    expect((await failure(server.restart())).code).toBe('SERVER_DIED')
    expect(await server.close()).toMatchObject({ outcome: 'killed' })
    expect(await cut).toBeInstanceOf(Error)
  }
})

test('an app that blocks for a part of the grace has the rest of it, and its close hooks', async () => {
  const file = join(await temporaryFolder(), 'blocks.mjs')
  await writeFile(
    file,
    `import http from 'node:http'
    export default ({ onClose }) => {
      onClose(() => console.log('closed'))
      return http.createServer((request) => {
        const end = performance.now() + Number(request.url.slice(1))
        while (performance.now() < end);
      })
    }`,
  )
  for (const isolation of ['thread', 'process'] as const) {
    const server = await serve(file, { isolation, grace: 1_000 })
    const cut = [failure(server.fetch('/0'))]
    await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
    cut.push(failure(server.fetch('/600')))
    await vi.waitFor(() => expect(server.inFlight()).toHaveLength(2))
    const report = await server.close()
    expect(report).toMatchObject({
      outcome: 'forced',
      blockers: [{ path: '/0' }, { path: '/600' }],
    })
    expect(server.output).toContain('closed')
    await Promise.all(cut)
  }
})

test('a thread or process has its grace also where the tests have set the clock', async () => {
  onTestFinished(() => void vi.useRealTimers())
  for (const isolation of ['thread', 'process'] as const) {
    const server = await serve(app, { isolation })
    const answer = server.fetch('/wait?ms=100').then((response) => response.text())
    await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
    vi.setSystemTime(0)
    expect(await server.close()).toMatchObject({ outcome: 'graceful' })
    expect(await answer).toBe('done')
    vi.useRealTimers()
  }
})

test('a thread that cannot be ended is not waited for without end', async () => {
  const waits = new URL('../../misbehaving/waits-in-a-native-call.js', folder)
  const server = await serve(waits, { isolation: 'thread', grace: 50 })
  const cut = failure(server.fetch('/'))
  await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
  const error = await failure(server.close())
  expect(error.message).toMatch(/Cannot end thread \d+: it is in a native call/)
  expect((await cut).code).toBe('SERVER_CLOSED')
  // It ends as soon as it can.
  await vi.waitFor(async () => expect(await answers(server.port)).toBe(false), 10_000)
})

test.each(['thread', 'process'] as const)(
  'what an app in a %s says to its owner is not taken for a report',
  async (isolation) => {
    const file = join(await temporaryFolder(), 'talks.mjs')
    await writeFile(
      file,
      `import { parentPort } from 'node:worker_threads'
      const say = (message) => parentPort ? parentPort.postMessage(message) : process.send(message)
      for (const message of [null, 'failed', { type: 'failed' }, { 'watch:import': 1 }, { portzero: null }]) say(message)
      export default { fetch: () => (say({ type: 'failed' }), new Response('ok')) }`,
    )
    const server = await serve(file, { isolation })
    expect(await (await server.fetch('/')).text()).toBe('ok')
    expect(await server.close()).toMatchObject({ outcome: 'graceful' })
  },
)

describe.each(['thread', 'process'] as const)(
  'a %s that blocks while it is restarted',
  (isolation) => {
    async function blocked(grace: number): Promise<LiveServer> {
      const server = await serve(app, { isolation, grace })
      onTestFinished(() => void server.close())
      void failure(server.fetch('/spin?ms=20000'))
      await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
      return server
    }

    test('is killed, and can be built anew', async () => {
      const server = await blocked(100)
      expect((await failure(server.restart())).code).toBe('SERVER_DIED')
      await server.restart({ app: 'rebuild' })
      expect(await hello(server)).toMatchObject({ answered: 1 })
    })

    test.each([
      { app: 'keep', code: 'SERVER_DIED' },
      { app: 'rebuild', code: 'SERVER_CLOSED' },
    ] as const)('is gone when a close() that comes meanwhile is over, app: $app', async (how) => {
      const server = await blocked(100)
      const { pid } = server
      const restarting = failure(server.restart({ app: how.app, grace: 10_000 }))
      const report = await server.close()
      expect(report).toMatchObject({
        outcome: 'killed',
        blockers: [{ path: '/spin?ms=20000' }, { kind: 'hook', method: 'restart' }],
      })
      expect(report.durationMs).toBeLessThan(5_000)
      expect(pid !== undefined && isAlive(pid)).toBe(false)
      expect((await restarting).code).toBe(how.code)
    })
  },
)

/** An app that starts once; the next time it never comes to an end with that. */
async function startsOnce(): Promise<{ file: string; pids(): Promise<number[]> }> {
  const folderOfApp = await temporaryFolder()
  const file = join(folderOfApp, 'starts-once.mjs')
  await writeFile(
    file,
    `import { readFileSync, writeFileSync } from 'node:fs'
    const pids = new URL('pids', import.meta.url)
    writeFileSync(pids, process.pid + ' ', { flag: 'a' })
    if (readFileSync(pids, 'utf8').split(' ').length > 2) await new Promise(() => setInterval(() => {}, 1_000))
    export default { fetch: () => new Promise(() => {}) }`,
  )
  const pids = async (): Promise<number[]> =>
    (await readFile(join(folderOfApp, 'pids'), 'utf8')).trim().split(' ').map(Number)
  return { file, pids }
}

test('what is cut off before an app is built anew is named by a close() that leaves that behind', async () => {
  const { file } = await startsOnce()
  const server = await serve(file, { isolation: 'process' })
  const cut = failure(server.fetch('/never'))
  await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
  const restarting = failure(server.restart({ app: 'rebuild', grace: 20_000 }))
  await vi.waitFor(async () => expect(await answers(server.port)).toBe(false))
  const { blockers } = await server.close({ grace: 0 })
  expect(blockers).toMatchObject([{ path: '/never' }, { kind: 'hook', method: 'restart' }])
  expect((await restarting).code).toBe('SERVER_CLOSED')
  await cut
})

test.each(['thread', 'process'] as const)(
  'a %s that is being started anew is killed by a close() that leaves that behind',
  async (isolation) => {
    const { file, pids } = await startsOnce()
    const server = await serve(file, { isolation })
    const restarting = failure(server.restart({ app: 'rebuild' }))
    await vi.waitFor(async () => expect(await pids()).toHaveLength(2))
    const { blockers } = await server.close({ grace: 50 })
    expect(blockers).toMatchObject([{ kind: 'hook', method: 'restart' }])
    expect(await answers(server.port)).toBe(false)
    const living = (await pids()).filter((pid) => pid !== process.pid && isAlive(pid))
    expect(living).toEqual([])
    expect((await restarting).code).toBe('SERVER_CLOSED')
  },
)

test('an answer of another program that is cut off before its end does not count as finished', async () => {
  const begins = "require('http').createServer((q, r) => r.write('begun')).listen(process.argv[1])"
  const server = await serve(
    { command: `NODE_OPTIONS= node -e "${begins}" {port}` },
    { grace: 100 },
  )
  const body = failure((await server.fetch('/')).text())
  expect(await server.close()).toMatchObject({ outcome: 'forced', blockers: [] })
  expect(await body).toBeInstanceOf(Error)
})

test.each([
  ['as systemd hands it over', { command: ['python3', 'by-socket.py'], cwd }],
  ['as a descriptor', { command: `NODE_OPTIONS= node -e "${SERVES_FD}" {fd}`, cwd }],
])('a program may take the socket %s', async (_how, target) => {
  const server = await serve(target)
  expect(await hello(server)).toMatchObject({ answered: 1 })
  expect(await server.close()).toMatchObject({ outcome: 'graceful' })
  expect(await answers(server.port)).toBe(false)
})

test.each(['thread', 'process'] as const)(
  'a %s has written all that its app prints in its close hooks before it ends',
  async (isolation) => {
    const talkative = new URL('../../misbehaving/prints-much-in-a-close-hook.js', folder)
    const server = await serve(talkative, { isolation })
    await server.close()
    expect(server.output.at(-1)).toBe('the last line')
  },
)

test.each<[string, (program: URL) => [Target, ServeOptions]]>([
  ['a process', (program) => [program, { isolation: 'process' }]],
  ['a command', (program) => [{ command: ['node', fileURLToPath(program)] }, {}]],
])('what an app in %s has started, and left behind, is asked to end', async (_where, apart) => {
  const leaver = new URL('../../misbehaving/leaves-a-helper-behind.js', folder)
  const server = await serve(...apart(leaver))
  expect(await server.close()).toMatchObject({ outcome: 'graceful' })
  expect(server.output).toEqual(['saved'])
})
