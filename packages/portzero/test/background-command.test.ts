import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { text as all } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { connect, list } from 'portzero'
import type { ServerEntry } from 'portzero'
import { HeldLog } from '../dist/background/held-log.js'
import { APP, useBackground } from './background.ts'
import { until } from './processes.ts'

const MAIN = fileURLToPath(new URL('../bin/portzero.cjs', import.meta.url))

const { folder, write } = useBackground()

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs the command in the folder of the test. */
function portzero(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { cwd: folder }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

test('starts a server, tells its URL, and stops it', async () => {
  const app = write('app.mjs', APP)
  const started = await portzero('start', './app.mjs', '--name', 'api')
  expect(started).toMatchObject({ code: 0, err: '' })
  const url = started.out.trim()
  expect((await fetch(url)).status).toBe(200)
  expect(await portzero('url', 'api')).toEqual({ code: 0, out: `${url}\n`, err: '' })
  const [entry] = await list()
  expect(entry).toMatchObject({ cwd: folder, target: app })
  expect((await portzero('list')).out).toBe(
    `NAME  STATE  URL${' '.repeat(url.length - 3)}  PID${' '.repeat(Math.max(0, String(entry?.pid).length - 3))}  TARGET\n` +
      `api   ready  ${url}  ${entry?.pid}  ${app}\n`,
  )
  const stopped = await portzero('stop', 'api')
  expect(stopped).toMatchObject({ code: 0, err: '' })
  expect(stopped.out).toMatch(/^api: closed after \d+ ms\n$/)
  expect((await portzero('list')).out).toBe('')
})

test('speaks JSON', async () => {
  write('app.mjs', APP)
  const start = await portzero('start', 'app.mjs', '--name=api', '--https', '--json')
  const entry = JSON.parse(start.out) as ServerEntry
  expect(entry).toMatchObject({
    name: 'api',
    state: 'ready',
    url: expect.stringMatching(/^https:/),
  })
  expect(JSON.parse((await portzero('list', '--json')).out)).toEqual([entry])
  expect(JSON.parse((await portzero('url', 'api', '--json')).out)).toEqual({
    name: 'api',
    url: entry.url,
    ca: expect.stringContaining('BEGIN CERTIFICATE'),
  })
  const restarted = JSON.parse((await portzero('restart', 'api', '--json')).out) as object
  expect(restarted).toMatchObject({ name: 'api', url: entry.url, outcome: 'graceful' })
  const log = (await portzero('logs', 'api', '--json', '--lines', '1')).out
  expect(JSON.parse(log)).toEqual({ line: 'portzero: restarted' })
  const stopped = await portzero('stop', 'api', 'web', '--json')
  expect(stopped.code).toBe(1)
  expect(JSON.parse(stopped.out)).toEqual([
    { name: 'api', outcome: 'graceful', durationMs: expect.any(Number), blockers: [] },
    { name: 'web', error: { code: 'NOT_RUNNING', message: expect.any(String) } },
  ])
})

test('starts a program with options and an environment', async () => {
  write(
    'app.cjs',
    `require('http').createServer((_, response) => response.end(process.env.GREETING)).listen(Number(process.argv[2]))
     setTimeout(() => console.log('is well'), 50)`,
  )
  const { out, code } = await portzero(
    'start',
    'node app.cjs {port}',
    '--name',
    'web',
    '--env',
    'GREETING=a=b',
    '--ready',
    'is w.ll',
  )
  expect(code).toBe(0)
  expect(await (await fetch(out.trim())).text()).toBe('a=b')
  expect((await portzero('logs', 'web')).out).toContain('is well')
  expect((await portzero('stop', '--all')).out).toMatch(/^web: closed after/)
})

/** Starts one that ends by itself. Returns its URL. */
async function startAndDie(): Promise<string> {
  write('app.mjs', APP)
  const url = (await portzero('start', 'app.mjs', '--name', 'api')).out.trim()
  await fetch(`${url}/dies`).catch(() => {})
  await (
    await connect('api')
  ).exited
  return url
}

test('loads fresh code, and brings back what has died', async () => {
  const url = await startAndDie()
  const dead = await portzero('url', 'api')
  expect(dead).toMatchObject({ code: 1, out: '' })
  expect(dead.err).toContain('portzero: [SERVER_DIED] ')
  expect((await portzero('list')).out).toMatch(/^api +died/m)
  write('app.mjs', APP.replace('String(process.pid)', "'fresh'"))
  const back = await portzero('restart', 'api')
  expect(back.code).toBe(0)
  expect(back.out).toMatch(new RegExp(`^api: had died; ready again at ${url} after \\d+ ms\n$`))
  expect(await (await fetch(url)).text()).toBe('fresh')
})

test('says of one that has died when it is stopped that it had, and not that it was killed', async () => {
  await startAndDie()
  expect(await portzero('stop', 'api')).toEqual({ code: 0, out: 'api: had died\n', err: '' })
})

test('follows what is printed, until the end', async () => {
  write(
    'app.mjs',
    APP.replace("'/dies'", "'/says'").replace('process.exit(3)', "console.log('said')"),
  )
  const url = (await portzero('start', 'app.mjs', '--name', 'api')).out.trim()
  const following = spawn(process.execPath, [MAIN, 'logs', 'api', '--follow', '--lines', '2'])
  let out = ''
  following.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  await until(
    () => out.includes('listens'),
    () => out,
  )
  await fetch(`${url}/says`)
  await until(
    () => out.includes('said'),
    () => out,
  )
  const ended = once(following, 'exit')
  await portzero('stop', 'api')
  expect(await ended).toEqual([0, null])
  expect(out).toMatch(
    /^begins\nportzero: listens at \S+\nsaid\nportzero: closed gracefully in \d+ ms\n$/,
  )
})

test('says so when what it has to tell finds no room', async () => {
  if (!existsSync('/dev/full')) return
  const full = openSync('/dev/full', 'w')
  const listing = spawn(process.execPath, [MAIN, 'list', '--json'], {
    stdio: ['ignore', full, 'pipe'],
  })
  closeSync(full)
  const [said, [code]] = await Promise.all([all(listing.stderr as Readable), once(listing, 'exit')])
  expect(said).toBe('portzero: cannot write: ENOSPC: no space left on device, write\n')
  expect(code).toBe(1)
})

test('tells all of a log, also to one who reads it more slowly', async () => {
  write(
    'app.mjs',
    `${APP}for (let count = 1; count <= 4_000; count += 1) console.log(count, 'x'.repeat(200))`,
  )
  await portzero('start', 'app.mjs', '--name', 'api', '--ready', '^4000 ')
  const { log = '' } = (await list())[0] ?? {}
  const telling = spawn(process.execPath, [MAIN, 'logs', 'api'])
  expect(await all(telling.stdout)).toBe(readFileSync(log, 'utf8'))
})

test('follows from where it was read last', async () => {
  write(
    'app.mjs',
    APP.replace("'/dies'", "'/says'").replace('process.exit(3)', "console.log('said')"),
  )
  const url = (await portzero('start', 'app.mjs', '--name', 'api')).out.trim()
  const log = new HeldLog('api')
  onTestFinished(() => log.close())
  const lines = log.read()
  await fetch(`${url}/says`)
  await until(
    async () => (await portzero('logs', 'api')).out.includes('said'),
    () => 'said',
  )
  const followed = log.follow(() => lines.push(...log.read()))
  expect(lines).toContain('said')
  await portzero('stop', 'api')
  await followed
})

test('follows no longer than somebody reads', async () => {
  write('app.mjs', `${APP}setInterval(() => console.log('ticks'), 1)`)
  await portzero('start', 'app.mjs', '--name', 'api')
  const following = spawn(process.execPath, [MAIN, 'logs', 'api', '--follow'])
  const ended = once(following, 'exit')
  following.stdout.once('data', () => following.stdout.destroy())
  expect(await ended).toEqual([0, null])
})

test('keeps a log from growing without end', async () => {
  write(
    'app.mjs',
    `${APP}
    const line = 'x'.repeat(1_000)
    for (let count = 1; count <= 6_000; count += 1) console.log(count, line)
    console.log('that was all')`,
  )
  const { code } = await portzero('start', 'app.mjs', '--name', 'api', '--ready', 'that was all')
  expect(code).toBe(0)
  const [entry] = await list()
  const log = readFileSync(entry?.log ?? '', 'utf8')
  expect(log.length).toBeLessThan(2_000_000)
  expect(log).toMatch(/^portzero: the log was too long, and begins anew\n\d+ x/)
  expect(log).toMatch(/\n6000 x+\nthat was all\nportzero: listens at \S+\n$/)
})

test('stops one that is still being started', async () => {
  write('app.mjs', 'console.log("waits"); await new Promise(() => setInterval(() => {}, 60_000))')
  const starting = portzero('start', 'app.mjs', '--name', 'api')
  const log = async (): Promise<string> => {
    const [entry] = await list()
    return entry === undefined ? '' : readFileSync(entry.log, 'utf8')
  }
  await until(async () => (await log()).includes('waits'), log)
  expect((await portzero('stop', 'api')).out).toMatch(/^api: killed after \d+ ms\n$/)
  const { code, err } = await starting
  expect(code).toBe(1)
  expect(err).toContain("[START_FAILED] The server 'api' was stopped before it was ready.")
})

test('says what was in the way of a stop', async () => {
  write('app.mjs', APP)
  const url = (await portzero('start', 'app.mjs', '--name', 'api', '--grace', '100')).out.trim()
  const held = fetch(`${url}/holds`).catch((error: unknown) => error)
  const server = await connect('api')
  await until(
    () => server.inFlight().length > 0,
    () => server.inFlight(),
  )
  const { out } = await portzero('stop', 'api')
  expect(out).toMatch(/^api: closed by force after \d+ ms; in its way: GET \/holds, unanswered for/)
  expect(await held).toBeInstanceOf(Error)
})

test.for<[number, string, string[]]>([
  [1, '[START_FAILED] ', ['start', 'node -e process.exit(3)', '--name', 'api']],
  [1, '[INVALID_TARGET] There is no file at ', ['start', './nothing.js', '--name', 'api']],
  [1, '[NOT_RUNNING] ', ['url', 'api']],
  [1, '[NOT_RUNNING] ', ['logs', 'api']],
  [1, '[NOT_RUNNING] ', ['restart', 'api']],
  [1, '[NOT_RUNNING] ', ['stop', 'api']],
  [1, '[INVALID_OPTION] ', ['start', 'npm start', '--name', '../api']],
  [1, 'begins with a letter or digit', ['start', 'npm start', '--name', '.api']],
  [1, 'begins with a letter or digit', ['stop', '..']],
  [2, 'Give it a name', ['start', 'npm start']],
  [2, 'Say what to start', ['start', '--name', 'api']],
  [2, 'One target is started; got 2', ['start', 'npm', 'start', '--name', 'api']],
  [2, '--port must be', ['start', 'npm start', '--name', 'api', '--port', 'x']],
  [2, '--isolation must be', ['start', 'a.js', '--name', 'api', '--isolation', 'inline']],
  [2, '--ready must be', ['start', 'a.js', '--name', 'api', '--ready', '(']],
  [2, '--cwd must be a folder', ['start', 'a.js', '--name', 'api', '--cwd', 'nowhere']],
  [2, "Unknown option '--prot'", ['start', 'a.js', '--name', 'api', '--prot', '3']],
  [2, 'Say which servers to stop', ['stop']],
  [2, 'Say which servers to stop', ['stop', 'api', '--all']],
  [2, 'Say which server', ['url']],
  [2, 'One name is taken; got 2', ['logs', 'api', 'web']],
  [2, "Unexpected argument 'api'", ['list', 'api']],
  [2, "There is no verb 'strat'", ['strat']],
])('ends with %i, and says: %s', async ([code, message, args]) => {
  const run = await portzero(...args)
  expect(run).toMatchObject({ code, out: '' })
  expect(run.err).toMatch(/^portzero: /)
  expect(run.err).toContain(message)
  expect(await list()).toEqual([])
})

test.for(['start', 'stop', 'restart', 'list', 'url', 'logs'])('explains %s', async (verb) => {
  const { code, out, err } = await portzero(verb, '--help')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(new RegExp(`^Usage: portzero ${verb} `))
  expect((await portzero('--help')).out).toContain(`\n  ${verb} `)
})
