import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { acquire, define, followTest } from 'portzero/shared'
import type { SharedOptions } from 'portzero/shared'
import { expect, onTestFinished, test } from 'vitest'
import type { LiveServer } from 'portzero'
import { APP } from './background.ts'
import { until } from './processes.ts'
import { failure, run } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Definition = ReturnType<typeof define>

/** A server that runs until the test has ended, and how its fixtures are defined. */
async function start(options: SharedOptions): Promise<[LiveServer, Definition]> {
  const app = join(await temporaryFolder(), 'app.mjs')
  await writeFile(app, APP)
  const definition = define(app, { grace: 20, ...options })
  const { server, release } = await acquire(definition, { slot: 0, workerId: '1' })
  onTestFinished(async () => void (await release()))
  return [server, definition]
}

/** Asks what is answered once `/lets-go` is asked. Resolves when it has arrived. */
async function hold(server: LiveServer, query: string): Promise<void> {
  const before = server.inFlight().length
  server.fetch(`/holds?${query}`).catch(() => {})
  await until(
    () => server.inFlight().length > before,
    () => server.inFlight(),
  )
}

test.each(['inline', 'process'] as const)(
  'a test waits for what it has asked itself, and for nothing else: %s',
  async (isolation) => {
    const [server, definition] = await start({ isolation, lingering: 'wait', grace: 60_000 })
    onTestFinished(async () => void (await server.close({ grace: 0 })))
    await hold(server, 'nobody')
    const ended = await followTest(definition, {}, 'asks')
    const own = server.fetch('/late')
    const ending = ended()
    expect(await (await own).text()).toBe('late')
    await ending
    expect(server.inFlight()).toMatchObject([{ path: '/holds?nobody' }])
  },
)

test.each(['inline', 'process'] as const)(
  'a test does not answer for what was asked just before it: %s',
  async (isolation) => {
    const [server, definition] = await start({ isolation, lingering: 'fail' })
    server.fetch('/holds?before').catch(() => {})
    const ended = await followTest(definition, {}, 'asks nothing')
    await ended()
    expect(server.inFlight()).toMatchObject([{ path: '/holds?before' }])
  },
)

test('a test does not wait for a server that another one starts', async () => {
  let goOn = (): void => {}
  const going = new Promise<void>((resolve) => (goOn = resolve))
  const definition = define(() => going.then(() => ({ fetch: () => new Response() })))
  const acquiring = acquire(definition, { slot: 0, workerId: '1' })
  const ended = await followTest(definition, {}, 'needs none')
  await ended()
  goOn()
  const { server, release } = await acquiring
  expect((await server.fetch('/')).status).toBe(200)
  await release()
})

test('the last of tests that run at the same time answers for all their servers', async () => {
  const [server, definition] = await start({ lingering: 'fail' })
  const [, other] = await start({ name: 'api', lingering: 'fail' })
  const ends = [await followTest(definition, {}, 'one'), await followTest(other, {}, 'two')]
  await hold(server, 'ones')
  await ends[0]?.()
  expect(await failure(ends[1]!())).toMatchObject({
    code: 'LINGERING',
    message: expect.stringMatching(
      /^Tests that ran at the same time \("one", "two"\) ended while .* GET \/holds\?ones/,
    ),
  })
})

test('a test that has several servers answers for all at once', async () => {
  const [server, definition] = await start({ lingering: 'fail' })
  const [api, other] = await start({ name: 'api', lingering: 'fail' })
  const key = {}
  const ends = [await followTest(definition, key, 'both'), await followTest(other, key, 'both')]
  await hold(server, 'first')
  await hold(api, 'second')
  await ends[1]?.()
  const { message } = await failure(ends[0]!())
  expect(message).toContain(`${server.url} was still at work on GET /holds?first`)
  expect(message).toContain(`${api.url} was still at work on GET /holds?second`)
})

test('what one test is known to have asked is not said to be of all', async () => {
  const [server, definition] = await start({ lingering: 'fail' })
  const [one, two] = [{}, {}]
  const ended = await followTest(definition, one, 'one')
  await hold(server, 'alone')
  const others = [await followTest(definition, two, 'two')]
  const { message } = await failure(ended())
  expect(message).toMatch(/^The test "one" ended while \S+ was still at work on GET \/holds\?alone/)
  // It is tried again.
  others.push(await followTest(definition, one, 'one'))
  await hold(server, 'together')
  await others[0]?.()
  expect((await failure(others[1]!())).message).toMatch(
    /^Tests that ran at the same time \("one", "two"\) ended while .* GET \/holds\?together/,
  )
})

test.each([
  ['by its URL', '127.0.0.1'],
  ['by another name, which takes a while to look up', 'localhost'],
])(
  'the first request of a process, for which Node loads its fetch, is that of its test: %s',
  async (_how, host) => {
    const program = `
      import dns from 'node:dns'
      import { acquire, define, followTest } from 'portzero/shared'
      const { lookup } = dns
      dns.lookup = (...args) => setTimeout(lookup, 20, ...args)
      const definition = define((_request, _response) => {}, { grace: 0, lingering: 'fail' })
      const { server, release } = await acquire(definition, { slot: 0, workerId: '1' })
      const ended = await followTest(definition, {}, 'asks')
      fetch('http://${host}:' + server.port + '/never').catch(() => {})
      await ended().catch(({ message }) => console.log(message))
      await release()
    `
    const { stdout } = await run(program)
    expect(stdout).toMatch(/^The test "asks" ended while \S+ was still at work on GET \/never/)
  },
)
