import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { serve } from 'portzero'
import type { LiveServer, ServeOptions } from 'portzero'
import { expect, onTestFinished, test, vi } from 'vitest'
import { isAlive } from './processes.ts'
import { failure } from './support.ts'

const cwd = fileURLToPath(new URL('../../../fixtures/programs/own/', import.meta.url))

async function start(
  command: string | string[],
  env: Record<string, string> = {},
  options: ServeOptions = {},
): Promise<LiveServer> {
  const server = await serve({ command, cwd, env }, options)
  onTestFinished(() => void server.close().catch(() => {}))
  return server
}

async function answerOf(server: LiveServer): Promise<{ by: string; pid: number }> {
  return (await (await server.fetch('/')).json()) as { by: string; pid: number }
}

test('only one of several programs that listen at once is connected', async () => {
  const server = await start('for i in 1 2 3 4; do node web.js & done; wait')
  const pids = new Set<number>()
  for (let i = 0; i < 40; i++) {
    const response = await server.fetch('/', { headers: { connection: 'close' } })
    pids.add(((await response.json()) as { pid: number }).pid)
  }
  expect(pids.size).toBe(1)
})

test('a server that comes second says so, as it may be the one that is meant', async () => {
  const server = await start('node web.js & node web.js & wait')
  await vi.waitFor(() => {
    expect(server.output.join('\n')).toMatch(/Another server .* port 3000 .*'\{port\}'/)
  })
})

test('a program that is told its port is the one that asks for it', async () => {
  const server = await start('node web.js & API_PORT={port} node api.js')
  expect(await answerOf(server)).toMatchObject({ by: 'api.js' })
})

test('a program is caught that is started with other options for Node', async () => {
  const server = await start('node sets-options.js')
  expect(await answerOf(server)).toMatchObject({ by: 'web.js' })
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
})

test.for(['has-helpers.js', 'looks-first.js', 'in-a-thread.js'])('%s is caught', async (name) => {
  const servers = await Promise.all([start(['node', name]), start(['node', name])])
  for (const server of servers) expect(await answerOf(server)).toMatchObject({ by: name })
  for (const server of servers) {
    expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
  }
})

test('who looks for a free port is told that the one that it was given is', async () => {
  const server = await start('node looks-first.js')
  await vi.waitFor(() => expect(server.output).toContain(`found ${server.port}`))
})

// What is not caught, and by which variable it can be told its port.
const notCaught = [
  ['node in-a-cluster.js', 'OWN_PORT'],
  ['node of-net.js', 'OWN_PORT'],
  ['node --watch api.js', 'API_PORT'],
] as const

test.for(notCaught)('%s says that it has to be told its port', async ([command]) => {
  const error = await failure(serve({ command, cwd }))
  expect(error.code).toBe('START_FAILED')
  expect(error.message).toContain("env: { PORT: '{port}' }")
})

test.for(notCaught)('%s has the port that it is told', async ([command, variable]) => {
  const server = await start(command, { [variable]: '{port}' })
  expect((await server.fetch('/')).status).toBe(200)
})

test('a server that follows another one in the same program has the socket', async () => {
  const server = await start('node opens-anew.js')
  await (await server.fetch('/anew')).text()
  await vi.waitFor(() => expect(server.output).toContain('closed'))
  const response = await server.fetch('/')
  expect(response.headers.get('opened')).toBe('2')
  const waiting = server.fetch('/?wait=200').then((answer) => answer.status)
  await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path: '/?wait=200' }]))
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(await waiting).toBe(200)
})

test('what a server was asked before another one followed it is known, and answered', async () => {
  const server = await start('node opens-anew.js', {}, { grace: 20_000 })
  const waiting = server.fetch('/?wait=1500').then((answer) => answer.status)
  await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
  await (await server.fetch('/replaced')).text()
  await vi.waitFor(async () => {
    expect((await server.fetch('/')).headers.get('opened')).toBe('2')
  })
  await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path: '/?wait=1500' }]))
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(await waiting).toBe(200)
})

test('a program that is started anew by another is followed', async () => {
  const server = await start('while true; do node crashes.js; done')
  const before = await answerOf(server)
  await failure(server.fetch('/crash'))
  const after = await answerOf(server)
  expect(after.pid).not.toBe(before.pid)
  const waiting = server.fetch('/?wait=200').then((answer) => answer.status)
  await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path: '/?wait=200' }]))
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(await waiting).toBe(200)
})

test('what is left of a command whose server has crashed is asked to end', async () => {
  const server = await start('node crashes.js; sleep 60')
  await answerOf(server)
  await failure(server.fetch('/crash'))
  const report = await server.close()
  expect(report).toMatchObject({ outcome: 'graceful', blockers: [] })
})

test('what a server has left when it crashed is in flight no longer, whatever outlives it', async () => {
  const server = await start('node crashes.js; sleep 60')
  const lost = failure(fetch(`${server.url}/?wait=60000`))
  await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
  const idle = server.idle()
  await failure(server.fetch('/crash'))
  await idle
  await vi.waitFor(() => expect(server.inFlight()).toEqual([]))
  expect(await lost).toBeInstanceOf(Error)
})

test('what a server loses that crashes while it is closed is named, whatever outlives it', async () => {
  const server = await start('node crashes.js; sleep 60')
  const { pid } = await answerOf(server)
  const inFlight = [{ path: '/?wait=60000' }, { path: '/?wait=60001' }]
  const lost = failure(fetch(`${server.url}/?wait=60000`))
  await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
  const lostToo = failure(fetch(`${server.url}/?wait=60001`))
  await vi.waitFor(() => expect(server.inFlight()).toMatchObject(inFlight))
  const idle = net.connect(server.port, '127.0.0.1')
  await once(idle, 'connect')
  const closing = server.close({ grace: 20_000 })
  // It hears of that first.
  await once(idle.resume(), 'close')
  process.kill(pid, 'SIGKILL')
  expect(await closing).toMatchObject({ outcome: 'forced', blockers: inFlight })
  expect(await lost).toBeInstanceOf(Error)
  expect(await lostToo).toBeInstanceOf(Error)
})

test('a program ends in its own way', async () => {
  const server = await start('node says-goodbye.js')
  await answerOf(server)
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
  expect(server.output).toEqual(['closed', 'saved', 'exit hook, code 0'])
})

test('a program that ends in its own way says what it has covered', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'portzero-coverage-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const server = await start('node says-goodbye.js', { NODE_V8_COVERAGE: folder })
  await answerOf(server)
  await server.close()
  expect(await readdir(folder)).toEqual([expect.stringMatching(/^coverage-.*\.json$/)])
})

test('a program that ignores SIGTERM is killed after the grace', async () => {
  const server = await start('node ignores-sigterm.js', {}, { grace: 100 })
  const { pid } = await answerOf(server)
  const report = await server.close()
  expect(report.outcome).toBe('killed')
  expect(server.output).toContain('ignored')
  expect(isAlive(pid)).toBe(false)
})

test.for([
  ['true', 'exit code 0'],
  ['node -e 0', 'exit code 0'],
  ['no-such-command-here', 'is not installed'],
  ['no-such-command-here --at-all; exit $?', 'exit code 127'],
  ["node -e 'console.log(`last words`); process.exit(3)'", 'last words'],
] as const)('%s fails with %s', async ([command, message]) => {
  const error = await failure(serve({ command, cwd }))
  expect(error.code).toBe('START_FAILED')
  expect(error.message).toContain(message)
})

test('a folder that is not there is named', async () => {
  const error = await failure(serve({ command: 'node web.js', cwd: '/no/such/folder' }))
  expect(error.code).toBe('START_FAILED')
  expect(error.message).toContain('/no/such/folder')
})

test('a program has HOST and PORT', async () => {
  const server = await start([
    'node',
    '--eval',
    'http.createServer((q, s) => s.end(`${process.env.HOST}:${process.env.PORT}`)).listen(80)',
  ])
  expect(await (await server.fetch('/')).text()).toBe(`127.0.0.1:${server.port}`)
})
