import { once } from 'node:events'
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { serve } from 'portzero'
import { acquire, define, followTest } from 'portzero/shared'
import type { Place, SharedOptions } from 'portzero/shared'
import type { LiveServer, ServeOptions, Target } from 'portzero'
import { expect, onTestFinished, test, vi } from 'vitest'
import { failure, run } from './support.ts'

const place: Place = { slot: 0, workerId: '1' }
const target = new URL('../../../fixtures/apps/contract/app.js', import.meta.url)
const cwd = fileURLToPath(new URL('.', target))

async function acquired(
  options: SharedOptions,
): Promise<{ server: LiveServer; definition: ReturnType<typeof define> }> {
  const definition = define(target, { isolation: 'process', ...options })
  const { server, release } = await acquire(definition, place)
  onTestFinished(async () => void (await release()))
  return { server, definition }
}

test('a server that dies fails the test that was running, and all later ones', async () => {
  const { server, definition } = await acquired({ name: 'mortal' })
  const first = await followTest(definition, {}, 'first')
  await first()
  const second = await followTest(definition, {}, 'second')
  expect((await failure(server.fetch('/exit?code=9'))).code).toBe('SERVER_DIED')
  const error = await failure(second())
  expect(error.code).toBe('SERVER_DIED')
  expect(error.message).toMatch(/exit code 9.*the app is loaded/s)
  expect((await failure(followTest(definition, {}, 'third'))).message).toBe(error.message)
})

test.each(['thread', 'process'] as const)(
  'a server in a %s that has reset its connections, and is not gone yet, fails the test that was running',
  async (isolation) => {
    const slow = new URL('../../../fixtures/misbehaving/resets-before-it-dies.js', import.meta.url)
    const definition = define(slow, { isolation, name: 'slow' })
    const { server, release } = await acquire(definition, place)
    onTestFinished(async () => void (await release()))
    const ended = await followTest(definition, {}, 'a test')
    await expect(fetch(server.url)).rejects.toThrow('fetch failed')
    expect((await failure(ended())).message).toMatch(/has died.*exit code 7/s)
  },
)

test('with restart: between-tests the next test has a new one on the same port', async () => {
  const { server, definition } = await acquired({ name: 'phoenix', restart: 'between-tests' })
  const { pid, url } = server
  const first = await followTest(definition, {}, 'first')
  await failure(server.fetch('/exit?code=9'))
  expect((await failure(first())).code).toBe('SERVER_DIED')
  const second = await followTest(definition, {}, 'second')
  expect(server.url).toBe(url)
  expect(server.pid).not.toBe(pid)
  expect((await server.fetch('/')).status).toBe(200)
  await second()
})

test('tests that run at the same time have the same new one', async () => {
  const { server, definition } = await acquired({ name: 'twins', restart: 'between-tests' })
  const first = await followTest(definition, {}, 'first')
  await failure(server.fetch('/exit?code=9'))
  await failure(first())
  const begin = async (title: string): Promise<number | undefined> => {
    const ended = await followTest(definition, {}, title)
    const { pid } = server
    expect((await server.fetch('/')).status).toBe(200)
    await ended()
    return pid
  }
  const [second, third] = await Promise.all([begin('second'), begin('third')])
  expect(second).toBe(third)
})

test('a server that has died is closed without a word: its test has told', async () => {
  const program = `
    import { acquire, define, followTest } from 'portzero/shared'
    const definition = define(new URL('${target.href}'), { isolation: 'thread' })
    const { server, release } = await acquire(definition, { slot: 0, workerId: '1' })
    const ended = await followTest(definition, {}, 'a test')
    await server.fetch('/exit?code=1').catch(() => {})
    await ended().catch(() => {})
    const { outcome, blockers } = await release()
    console.log(outcome, blockers.length)
  `
  expect(await run(program)).toEqual({ stdout: 'killed 0\n', stderr: '' })
})

test.each(['thread', 'process'] as const)(
  'a server in a %s of whose death no test has heard fails the one who closes it',
  async (isolation) => {
    const definition = define(target, { isolation, name: 'unheard' })
    const { server, release } = await acquire(definition, place)
    const ended = await followTest(definition, {}, 'a test')
    // Not by its own client, which would hear of it; and nobody waits for the answer.
    const socket = net.connect(server.port, '127.0.0.1').on('error', () => {})
    socket.write('GET /exit?code=5 HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(socket, 'close')
    // The news of the end may come before, or after.
    const heard = await ended().then(
      () => undefined,
      (error: unknown) => error,
    )
    const told = heard ?? (await failure(release()))
    expect(told).toMatchObject({
      code: 'SERVER_DIED',
      message: expect.stringContaining('exit code 5') as string,
    })
  },
)

test.each<[string, Target, ServeOptions]>([
  ['in a thread', target, { isolation: 'thread' }],
  ['in a process', target, { isolation: 'process' }],
  ['of a command', { command: 'node start.js', cwd }, {}],
  ['of a command behind a shell', { command: 'node start.js; exit $?', cwd }, {}],
])(
  'a server %s that has died a moment ago is not closed gracefully',
  async (_where, mortal, options) => {
    const server = await serve(mortal, options)
    // Not by its own client, which waits for the news.
    await failure(fetch(`${server.url}/exit?code=5`))
    expect(await server.close()).toMatchObject({ outcome: 'killed' })
    expect(await server.exited).toEqual({ code: 5, signal: null })
  },
)

test('a request that blocks at once is named', async () => {
  const server = await serve(target, { isolation: 'thread', grace: 100 })
  const cut = failure(server.fetch('/spin?ms=20000'))
  await vi.waitFor(() => expect(server.inFlight()).toMatchObject([{ path: '/spin?ms=20000' }]))
  expect(await server.close()).toMatchObject({
    outcome: 'killed',
    blockers: [{ kind: 'request', method: 'GET', path: '/spin?ms=20000' }],
  })
  expect(await cut).toBeInstanceOf(Error)
})

test.each(['thread', 'process'] as const)(
  'what was cut off is named also where a close hook ends the %s, which is named too',
  async (isolation) => {
    const exits = new URL('../../../fixtures/misbehaving/exits-in-a-close-hook.js', import.meta.url)
    const server = await serve(exits, { isolation, grace: 50 })
    const cut = failure(server.fetch('/held'))
    await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
    expect(await server.close()).toMatchObject({
      outcome: 'killed',
      blockers: [
        { kind: 'request', path: '/held' },
        { kind: 'hook', method: 'close' },
      ],
    })
    expect(await cut).toBeInstanceOf(Error)
  },
)

test('what is in flight is named also where the process is killed while it is closed', async () => {
  const server = await serve(target, { isolation: 'process', grace: 20_000 })
  const cut = failure(server.fetch('/never'))
  await vi.waitFor(() => expect(server.inFlight()).toHaveLength(1))
  const closing = server.close()
  process.kill(server.pid as number, 'SIGKILL')
  expect(await closing).toMatchObject({ outcome: 'killed', blockers: [{ path: '/never' }] })
  expect(await cut).toBeInstanceOf(Error)
})
