import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { webServer, webServerURL } from '@portzero/playwright'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { failureIn } from '../dist/web-server/messages.js'
import { maySelect } from '../dist/web-server/projects.js'
import { sweepBeside } from '../dist/web-server/sweep.js'
import { checkPlaywright } from '../dist/web-server/version.js'

afterEach(() => delete process.env['API_URL'])

/** The servers that the program of an entry is told of. */
function toldBy(entry: ReturnType<typeof webServer>): {
  name: string
  servers: { name: string }[]
} {
  return JSON.parse(entry.env?.['PORTZERO_WEB_SERVER'] ?? '') as ReturnType<typeof toldBy>
}

test('an entry knows those that come after it', () => {
  const first = webServer('./one.ts', { name: 'first' })
  const second = webServer({ command: 'true' }, { name: 'second' })

  expect(toldBy(first)).toMatchObject({ name: 'first' })
  expect(toldBy(second)).toMatchObject({ name: 'second' })
  const names = toldBy(first).servers.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(['first', 'second']))
  expect(toldBy(second).servers).toEqual(toldBy(first).servers)
})

test('a configuration that is evaluated again has the same entries', () => {
  const make = (): ReturnType<typeof webServer> =>
    webServer('./one.ts', { name: 'again', ready: /up/i })

  expect(make()).toEqual(make())
  expect(toldBy(make()).servers.filter(({ name }) => name === 'again')).toHaveLength(1)
})

test('two servers whose URLs would be in one variable are refused', () => {
  webServer('./one.ts', { name: 'myApi' })

  expect(() => webServer('./two.ts', { name: 'myApi' })).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining("have the name 'myApi'"),
    }),
  )
  expect(() => webServer('./one.ts', { name: 'my_api' })).toThrow('MY_API_URL')
})

test.each([
  { target: () => {}, options: {}, code: 'INVALID_TARGET' },
  { target: { fetch: () => new Response() }, options: {}, code: 'INVALID_TARGET' },
  { target: './app.ts', options: { isolation: 'inline' }, code: 'INVALID_OPTION' },
  { target: './app.ts', options: { ready: () => {} }, code: 'INVALID_OPTION' },
  { target: './app.ts', options: { name: 'my api' }, code: 'INVALID_OPTION' },
  { target: './app.ts', options: { projects: [] }, code: 'INVALID_OPTION' },
  { target: './app.ts', options: { projects: 'all' }, code: 'INVALID_OPTION' },
  { target: './app.ts', options: { slot: 1 }, code: 'UNKNOWN_OPTION' },
  { target: './app.ts', options: { onOutput: () => {} }, code: 'UNKNOWN_OPTION' },
  { target: './app.ts', options: { url: 'http://127.0.0.1:3000' }, code: 'UNKNOWN_OPTION' },
])('refuses $target with $options: $code', ({ target, options, code }) => {
  expect(() => webServer(target as string, options as object)).toThrow(
    expect.objectContaining({ code }),
  )
})

test.each(['1.50.0', '1.56.1', '0.9.0'])('refuses Playwright %s', (version) => {
  expect(() => checkPlaywright(version)).toThrow(
    expect.objectContaining({ code: 'RUNNER_TOO_OLD', message: expect.stringContaining(version) }),
  )
})

test.each(['1.57.0', '1.65.1', '2.0.0', '1.66.0-alpha-1'])('takes Playwright %s', (version) => {
  expect(() => checkPlaywright(version)).not.toThrow()
})

test.each([
  { line: '', selects: true },
  { line: 'test --project=api', selects: true },
  { line: 'test --project API', selects: true },
  { line: 'test --project web api -x', selects: true },
  { line: 'test --project web', selects: false },
  { line: 'test --project web -x api', selects: false },
  { line: 'test --project=a*', selects: true },
  { line: 'test --project=.*', selects: false },
  { line: 'test --project=web api', selects: false },
  { line: 'test --project=web --project=api', selects: true },
  { line: 'test --project=web --ui', selects: true },
  { line: 'test --project=web --ui-port=0', selects: true },
  { line: 'test-server --project=web', selects: true },
])('"$line" selects a project named api: $selects', ({ line, selects }) => {
  expect(maySelect(['api'], line.split(' '))).toBe(selects)
})

test('a server that no selected project needs has a command that does nothing', () => {
  const { argv } = process
  onTestFinished(() => void (process.argv = argv))
  process.argv = [...argv.slice(0, 2), 'test', '--project=web']

  const entry = webServer('./app.ts', { name: 'unneeded', projects: ['api'] })
  expect(entry).toEqual({ name: 'unneeded', command: 'exit 0' })
  expect(toldBy(webServer('./app.ts', { name: 'needed' })).servers).not.toContainEqual(
    expect.objectContaining({ name: 'unneeded' }),
  )
})

test('the URL of a server is that of the environment', () => {
  expect(() => webServerURL('api')).toThrow(expect.objectContaining({ code: 'NO_WEB_SERVER' }))
  process.env['API_URL'] = 'http://127.0.0.1:1'
  expect(webServerURL('api')).toBe('http://127.0.0.1:1')
})

/** Has a process listen there, and kills it. */
async function leaveSocketIn(path: string): Promise<void> {
  const script =
    "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))"
  await once(spawn(process.execPath, ['-e', script, join(path, 'socket')]), 'exit')
  await utimes(path, 1, 1)
}

test('what is left of what was killed is removed, and nothing else', async ({ skip }) => {
  skip(process.platform === 'win32', 'not run: no directories of sockets on Windows')
  const folder = await mkdtemp(join(tmpdir(), 'sweep-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const directory = async (name: string): Promise<string> => {
    const path = join(folder, `portzero-web-${name}`)
    await mkdir(path)
    return path
  }
  const listenIn = async (path: string): Promise<net.Server> => {
    const server = net.createServer().listen(join(path, 'socket'))
    await once(server, 'listening')
    await utimes(path, 1, 1)
    return server
  }
  const [own, used, left, failed, other] = await Promise.all(
    ['own', 'used', 'left', 'failed', 'other'].map(directory),
  )
  const server = await listenIn(used!)
  onTestFinished(() => void server.close())
  await leaveSocketIn(left!)
  // That of a program whose Playwright was killed.
  await writeFile(failureIn(failed!), '')
  await utimes(failed!, 1, 1)
  await utimes(other!, 1, 1)

  await sweepBeside(own!)

  expect([own, used, left, failed, other].map((path) => existsSync(path!))).toEqual([
    true,
    true,
    false,
    false,
    true,
  ])
})
