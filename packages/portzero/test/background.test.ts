import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { readFileSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { platform } from 'node:process'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { connect, list, start } from 'portzero'
import type { ConnectedServer, StartOptions, Target } from 'portzero'
import { APP, act, useBackground } from './background.ts'
import { carriersOf, isAlive, until } from './processes.ts'
import { failure } from './support.ts'

const { folder, state, files, write } = useBackground()
const handles: ConnectedServer[] = []

afterEach(async () => {
  for (const handle of handles.splice(0)) await handle.disconnect()
})

async function begin(target: Target, options: StartOptions): Promise<ConnectedServer> {
  const server = await start(target, options)
  handles.push(server)
  return server
}

async function join(name: string): Promise<ConnectedServer> {
  const server = await connect(name)
  handles.push(server)
  return server
}

test('is started by one process, asked by another, and stopped by a third', async () => {
  const app = write('app.mjs', APP)
  const started = await act('start', 'api', app)
  expect(started.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  expect(await act('connect', 'api')).toEqual({ url: started.url, answer: expect.any(String) })
  expect(await act('stop', 'api')).toMatchObject({ outcome: 'graceful', blockers: [] })
  const { code, message } = await act('connect', 'api')
  expect(code).toBe('NOT_RUNNING')
  expect(message).toContain("No server named 'api' runs in the background. None does.")
  expect(await list()).toEqual([])
})

test('is what list() tells, and has a log', async () => {
  const app = write('app.mjs', APP)
  const { url, pid } = await begin(app, { name: 'api' })
  const [entry, ...others] = await list()
  expect(others).toEqual([])
  expect(entry).toEqual({
    name: 'api',
    state: 'ready',
    url,
    pid,
    holderPid: expect.any(Number),
    target: app,
    cwd: process.cwd(),
    log: expect.stringContaining(state),
    startedAt: expect.any(Date),
    scope: undefined,
  })
  expect(readFileSync(entry?.log ?? '', 'utf8')).toBe(
    `portzero: starting ${app}\nbegins\nportzero: listens at ${url}\n`,
  )
})

test('is for others all that a server of their own is', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const other = await join('api')
  expect(other.url).toBe(server.url)
  expect(other.pid).toBe(server.pid)
  expect(other.output).toEqual(['begins'])
  const held = other.fetch('/holds')
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  expect(server.inFlight()).toMatchObject([{ kind: 'request', method: 'GET', path: '/holds' }])
  expect((await failure(server.idle({ timeout: 10 }))).code).toBe('NOT_IDLE')
  const idle = server.idle()
  await server.fetch('/lets-go')
  expect(await (await held).text()).toBe('held')
  await idle
  const cut = other.fetch('/holds')
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  server.dropConnections()
  await expect(cut).rejects.toThrow('fetch failed')
})

test('says that the connections of a program of another kind cannot be reset', async () => {
  const program = "require('http').createServer((_, to) => to.end()).listen(process.argv[1])"
  const command = `NODE_OPTIONS= node -e "${program}" {port}`
  const server = await begin({ command }, { name: 'api' })
  expect(() => server.dropConnections()).toThrow(/program of another kind/)
  expect((await server.fetch('/')).status).toBe(200)
})

test.skipIf(platform !== 'linux')('goes on where its changes cannot be noted', async () => {
  const fillDisk = (): void => {
    const [id] = /[0-9a-f]{16}/.exec(files().join()) ?? []
    symlinkSync('/dev/full', path.join(state, `${id}.new`))
  }
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const former = server.pid
  fillDisk()
  expect(await server.restart({ app: 'rebuild' })).toMatchObject({ outcome: 'graceful' })
  expect(server.pid).not.toBe(former)
  fillDisk()
  expect((await failure(server.fetch('/dies'))).code).toBe('SERVER_DIED')
  await server.restart({ app: 'rebuild' })
  expect((await server.fetch('/')).status).toBe(200)
  const [entry] = await list()
  expect(entry).toMatchObject({ state: 'ready', pid: server.pid })
  expect(readFileSync(entry?.log ?? '', 'utf8')).toMatch(/^portzero: .*ENOSPC.*$/m)
})

test('restarts on its port, with fresh code', async () => {
  const app = write('app.mjs', APP)
  const server = await begin(app, { name: 'api' })
  const other = await join('api')
  const { pid, dispatcher } = server
  expect(await server.restart()).toMatchObject({ outcome: 'graceful' })
  expect(await (await other.fetch('/')).text()).toBe(String(pid))
  write('app.mjs', APP.replace('String(process.pid)', "'fresh'"))
  await server.restart({ app: 'rebuild' })
  expect(await (await other.fetch('/')).text()).toBe('fresh')
  expect(await (await request(server.url, { dispatcher })).body.text()).toBe('fresh')
  expect(other.pid).toBe(server.pid)
  expect(other.pid).not.toBe(pid)
  expect((await list())[0]).toMatchObject({ url: server.url, pid: server.pid })
})

test('is closed if it cannot come up again', async () => {
  const app = write('app.mjs', APP)
  const server = await begin(app, { name: 'api' })
  write('app.mjs', 'throw new Error("broken")')
  const error = await failure(server.restart({ app: 'rebuild' }))
  expect(error.code).toBe('MODULE_FAILED')
  expect(error.message).toContain('broken')
  expect((await failure(server.fetch('/'))).code).toBe('SERVER_CLOSED')
})

test('stops also while its app is blocked', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const blocked = failure(server.fetch('/blocks'))
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  const report = await (await join('api')).stop({ grace: 100 })
  expect(report).toMatchObject({ outcome: 'killed', blockers: [{ path: '/blocks' }] })
  expect((await blocked).code).toBe('SERVER_CLOSED')
})

test('stops in time also where a connection to its blocked app is being encrypted', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api', https: true })
  const blocked = failure(server.fetch('/blocks'))
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  const connecting = failure(server.fetch('/'))
  const startedAt = performance.now()
  expect(await server.stop({ grace: 100 })).toMatchObject({ outcome: 'killed' })
  expect(performance.now() - startedAt).toBeLessThan(5_000)
  for (const error of await Promise.all([blocked, connecting])) {
    expect(error.code).toBe('SERVER_CLOSED')
  }
})

test('stops once, however many ask for it', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const others = await Promise.all([join('api'), join('api')])
  const reports = await Promise.all([server, server, ...others].map((one) => one.stop()))
  expect(new Set(reports.map(({ outcome }) => outcome))).toEqual(new Set(['graceful']))
  expect((await failure(others[0].fetch('/'))).code).toBe('SERVER_CLOSED')
  expect((await failure(others[0].restart())).code).toBe('SERVER_CLOSED')
})

test('is waited for by whoever looks for it while it closes, for longer than one that tells nothing', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const cut = failure(server.fetch('/holds'))
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  const other = await join('api')
  const stopping = server.stop({ grace: 5_500 })
  const isRefused = async (): Promise<boolean> =>
    other.fetch('/').then(
      () => false,
      () => true,
    )
  await until(isRefused, () => 'it takes requests')
  expect((await failure(connect('api'))).code).toBe('NOT_RUNNING')
  expect(await stopping).toMatchObject({ outcome: 'forced', blockers: [{ path: '/holds' }] })
  await cut
})

test('is gone with a holder that does not do what it is told', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const { pid = 0 } = server
  const [entry] = await list()
  process.kill(entry?.holderPid ?? 0, 'SIGSTOP')
  expect(await server.stop({ grace: 0 })).toMatchObject({ outcome: 'killed' })
  expect([pid, entry?.holderPid ?? 0].filter(isAlive)).toEqual([])
})

test('a restart that is not heard of says so', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api', startTimeout: 2_000 })
  const [entry] = await list()
  process.kill(entry?.holderPid ?? 0, 'SIGSTOP')
  const error = await failure(server.restart({ grace: 0 }))
  expect(error.code).toBe('START_TIMEOUT')
  expect(error.message).toContain(`Process ${entry?.holderPid}, which holds the server 'api'`)
  process.kill(entry?.holderPid ?? 0, 'SIGCONT')
})

test('gives requests that were sent before it was stopped their answers', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const answers = Array.from({ length: 5 }, async () => (await server.fetch('/late')).text())
  expect(await server.stop()).toMatchObject({ outcome: 'graceful' })
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 5 }, () => 'late'))
})

test('goes on when those that use it let go', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  await server.disconnect()
  await server.disconnect()
  expect((await failure(server.fetch('/'))).code).toBe('SERVER_CLOSED')
  expect((await failure(server.stop())).code).toBe('SERVER_CLOSED')
  expect((await (await join('api')).fetch('/')).status).toBe(200)
})

test('is let go of also by one whom it has not answered', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const other = await join('api')
  const given = failure(other.fetch('/holds'))
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  await other.disconnect()
  expect((await given).code).toBe('SERVER_CLOSED')
  expect((await server.fetch('/')).status).toBe(200)
})

test('tells all of its death, and can be brought back', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const other = await join('api')
  const error = await failure(server.fetch('/dies'))
  expect(error.code).toBe('SERVER_DIED')
  expect(error.message).toMatch(/ended with exit code 3\. Its last output:\nbegins$/)
  expect(await other.exited).toEqual({ code: 3, signal: null })
  expect((await failure(other.fetch('/'))).code).toBe('SERVER_DIED')
  expect(await list()).toMatchObject([{ name: 'api', state: 'died', pid: undefined }])
  expect(await (await join('api')).exited).toEqual({ code: 3, signal: null })
  await other.restart({ app: 'rebuild' })
  expect((await server.fetch('/')).status).toBe(200)
  expect(await list()).toMatchObject([{ state: 'ready', pid: server.pid }])
})

test('dies with its holder, and leaves its name to others', async () => {
  const app = write('app.mjs', APP)
  const server = await begin(app, { name: 'api' })
  const [entry] = await list()
  process.kill(entry?.holderPid ?? 0, 'SIGKILL')
  expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' })
  expect((await failure(server.fetch('/'))).code).toBe('SERVER_DIED')
  expect((await failure(server.stop())).code).toBe('SERVER_DIED')
  await until(
    () => carriersOf(state).length === 0,
    () => carriersOf(state),
  )
  await begin(app, { name: 'api' })
  expect(await list()).toHaveLength(1)
})

test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('ends by %s as by stop()', async (signal) => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const late = server.fetch('/late')
  await until(
    () => server.inFlight().length === 1,
    () => server.inFlight(),
  )
  const [entry] = await list()
  process.kill(entry?.holderPid ?? 0, signal)
  expect(await (await late).text()).toBe('late')
  await until(
    () => files().length === 0,
    () => files(),
  )
})

test('reports a start that fails, and leaves nothing', async () => {
  const error = await failure(start(write('app.mjs', 'throw new Error("oops")'), { name: 'api' }))
  expect(error.code).toBe('MODULE_FAILED')
  expect(error.message).toContain('oops')
  const program = { command: 'node -e "console.log(42); process.exit(4)"' }
  const ended = await failure(start(program, { name: 'api' }))
  expect(ended.code).toBe('START_FAILED')
  expect(ended.message).toMatch(/exit code 4 before it was ready\. Its last output:\n42$/)
  const late = await failure(start({ command: 'sleep 60' }, { name: 'api', startTimeout: 300 }))
  expect(late.code).toBe('START_TIMEOUT')
  expect(await list()).toEqual([])
})

test('is waited for while it starts', async () => {
  const gate = net.createServer()
  await new Promise<void>((resolve) => gate.listen(path.join(state, '..', 'gate'), resolve))
  const waits = `import net from 'node:net'
    const gate = net.connect(${JSON.stringify(gate.address())})
    await new Promise((resolve) => gate.once('close', resolve))
    ${APP}`
  const starting = begin(write('app.mjs', waits), { name: 'api' })
  const [waiting] = (await once(gate, 'connection')) as [net.Socket]
  expect(await list()).toMatchObject([{ name: 'api', state: 'starting', url: undefined }])
  expect((await failure(start('./app.mjs', { name: 'api' }))).message).toContain(
    "A server named 'api' is being started already",
  )
  const joining = join('api')
  waiting.destroy()
  expect((await joining).url).toBe((await starting).url)
  gate.close()
})

test('gives a start up if the one that has ordered it is gone', async () => {
  const program = new URL('acts-in-background.js', import.meta.url).pathname
  const waits = write(
    'app.mjs',
    'console.log("waits"); await new Promise(() => setInterval(() => {}, 60_000))',
  )
  const orderer = spawn(process.execPath, [program, 'start', 'api', waits])
  onTestFinished(() => void orderer.kill('SIGKILL'))
  let log = ''
  await until(
    () => {
      const name = files().find((file) => file.endsWith('.log'))
      log = name === undefined ? '' : readFileSync(path.join(state, name), 'utf8')
      return log.includes('waits')
    },
    () => log,
  )
  expect(await list()).toMatchObject([{ name: 'api', state: 'starting' }])
  orderer.kill('SIGKILL')
  await until(
    () => files().length === 0 && carriersOf(state).length === 0,
    () => files(),
  )
})

test('may be a program, with an environment, in this working directory', async () => {
  const program = `require('http').createServer((_, response) => response.end(process.env.GREETING + process.cwd())).listen(process.env.PORT)`
  const server = await begin(
    { command: ['node', '-e', program], env: { GREETING: 'hello ' } },
    { name: 'web', ready: '/' },
  )
  expect(await (await server.fetch('/')).text()).toBe(`hello ${process.cwd()}`)
  expect(await server.stop()).toMatchObject({ outcome: 'graceful' })
})

test('that is a program which knows nothing of closing answers within the grace what it was asked here', async () => {
  const cwd = fileURLToPath(new URL('../../../fixtures/apps/contract/', import.meta.url))
  const target = { command: 'sh by-port.sh {port} {host}', cwd }
  const server = await begin(target, { name: 'api' })
  const answer = server.fetch('/wait?ms=200').then((response) => response.text())
  expect(await server.stop({ grace: 20_000 })).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(await answer).toBe('done')
  const other = await begin(target, { name: 'api' })
  const cut = failure(other.fetch('/never'))
  expect(await other.stop({ grace: 100 })).toMatchObject({
    outcome: 'forced',
    blockers: [{ kind: 'request', path: '/never' }],
  })
  expect((await cut).code).toBe('SERVER_CLOSED')
})

test('is not closed gracefully where an answer is cut off before its end', async () => {
  const begins = "require('http').createServer((q, r) => r.write('begun')).listen(process.argv[1])"
  const target = { command: `NODE_OPTIONS= node -e "${begins}" {port}` }
  const server = await begin(target, { name: 'api' })
  const body = failure((await server.fetch('/')).text())
  expect(await server.stop({ grace: 100 })).toMatchObject({ outcome: 'forced' })
  expect(await body).toBeInstanceOf(Error)
})

test('may run in a thread of its holder, and speak HTTPS', async () => {
  const server = await begin(write('app.mjs', APP), {
    name: 'api',
    isolation: 'thread',
    https: true,
    ready: /begins/,
  })
  expect(server.threadId).toBeGreaterThan(0)
  expect(server.ca).toContain('BEGIN CERTIFICATE')
  expect((await server.fetch('/')).status).toBe(200)
  await server.restart({ app: 'rebuild' })
  expect((await server.fetch('/')).status).toBe(200)
  expect((await join('api')).ca).toBe(server.ca)
})

test.runIf(platform === 'linux')(
  'leaves nothing that its app in a thread has started',
  async () => {
    const mark = `left-${randomUUID()}`
    const left = `spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '${mark}'], { detached: true })`
    const app = write('app.mjs', `import { spawn } from 'node:child_process'\n${left}\n${APP}`)
    const server = await begin(app, { name: 'api', isolation: 'thread' })
    expect(carriersOf(mark)).toHaveLength(1)
    await server.stop()
    await until(
      () => carriersOf(mark).length === 0,
      () => 'it runs',
    )
  },
)

test.for<[string, Target, object, string]>([
  ['an app', { fetch: () => new Response() }, { name: 'api' }, 'INVALID_TARGET'],
  ['a factory', () => ({ fetch: () => new Response() }), { name: 'api' }, 'INVALID_TARGET'],
  ['no name', './app.js', {}, 'INVALID_OPTION'],
  ['a name that is a path', './app.js', { name: '../api' }, 'INVALID_OPTION'],
  ['a name that is too long', './app.js', { name: 'a'.repeat(65) }, 'INVALID_OPTION'],
  ['a function as ready', './app.js', { name: 'api', ready: () => true }, 'INVALID_OPTION'],
  ['this process', './app.js', { name: 'api', isolation: 'inline' }, 'INVALID_OPTION'],
  ['a slot', './app.js', { name: 'api', slot: 1 }, 'UNKNOWN_OPTION'],
])('refuses %s', async ([, target, options, code]) => {
  expect((await failure(start(target, options as StartOptions))).code).toBe(code)
  expect(await list()).toEqual([])
})

test('names what runs when there is none of a name', async () => {
  await begin(write('app.mjs', APP), { name: 'api' })
  const error = await failure(connect('web'))
  expect(error.code).toBe('NOT_RUNNING')
  expect(error.message).toContain('Those that do: api.')
  expect((await failure(connect('../api'))).code).toBe('INVALID_OPTION')
})

test('does not keep the process alive that has started it, nor lets it hang on what it waits for', async () => {
  write('app.mjs', APP)
  const main = import.meta.resolve('portzero')
  const program = `
    import { connect } from ${JSON.stringify(main)}
    const server = await connect('api')
    await server.fetch('/')
    if (process.argv[1] !== 'waits') process.exitCode = 4
    else {
      console.log('waits')
      await server.exited
      process.exitCode = 5
    }`
  await begin(path.join(folder, 'app.mjs'), { name: 'api' })
  const run = (...args: string[]): ChildProcess =>
    spawn(process.execPath, ['--input-type=module', '-e', program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
  expect(await once(run(), 'exit')).toEqual([4, null])
  const waiting = run('waits')
  const ended = once(waiting, 'exit')
  await once(waiting.stdout as Readable, 'data')
  await (await join('api')).fetch('/dies').catch(() => {})
  expect(await ended).toEqual([5, null])
})

test('outlives garbage on its socket', async () => {
  const server = await begin(write('app.mjs', APP), { name: 'api' })
  const socket = files().find((file) => file.endsWith('.sock')) ?? ''
  const stranger = net.connect(path.join(state, socket))
  stranger.write('GET / HTTP/1.1\r\n\r\n')
  await once(stranger.resume(), 'close')
  expect((await server.fetch('/')).status).toBe(200)
})
