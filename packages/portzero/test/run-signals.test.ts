import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import { PROGRAM, printed, program, startPortzero } from './portzero-command.ts'
import { carriersOf, isAlive, until } from './processes.ts'
import { temporaryFolder } from './temporary-folder.ts'

const server = program('server.js')
const waits = program('waits.js')
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Starts a command that waits; all that belongs to it can be found by what is in its environment. */
function start(way: string, target = server) {
  const mark = randomUUID()
  const started = startPortzero(['run', target, '--', process.execPath, waits, way], {
    env: { TEST_MARK: mark },
  })
  const nothingLeft = (): Promise<void> =>
    until(
      () => carriersOf(mark).length === 0,
      () => carriersOf(mark),
    )
  return { ...started, nothingLeft }
}

describe.each(SIGNALS)('%s', (signal) => {
  test('reaches the command, whose exit code counts', async () => {
    const { child, ended, nothingLeft } = start('exits')
    await printed(child.stdout, /waiting/)
    child.kill(signal)
    expect(await ended).toMatchObject({
      code: 5,
      stdout: expect.stringContaining(`got ${signal}`) as string,
    })
    await nothingLeft()
  })

  test('ends both by default', async () => {
    const { child, ended, nothingLeft } = start('by-default')
    await printed(child.stdout, /waiting/)
    child.kill(signal)
    expect(await ended).toMatchObject({ code: null, signal })
    await nothingLeft()
  })

  test('gives up a start', async () => {
    const { child, ended, nothingLeft } = start('exits', `node ${program('starts-slowly.js')}`)
    await printed(child.stderr, /waiting/)
    child.kill(signal)
    expect(await ended).toMatchObject({ code: null, signal, stdout: '' })
    await nothingLeft()
  })
})

test('a second signal forces a command that does not end', async () => {
  const { child, ended, nothingLeft } = start('goes-on')
  await printed(child.stdout, /waiting/)
  child.kill('SIGTERM')
  await printed(child.stdout, /got SIGTERM/)
  // Signals that come together are one: it takes several until the second counts.
  const again = setInterval(() => child.kill('SIGTERM'), 50)
  onTestFinished(() => clearInterval(again))
  expect(await ended).toMatchObject({ code: null, signal: 'SIGTERM' })
  await nothingLeft()
})

test('SIGKILL of portzero leaves neither the server nor the command', async () => {
  const { child, ended, nothingLeft } = start('goes-on')
  await printed(child.stdout, /waiting/)
  child.kill('SIGKILL')
  expect(await ended).toMatchObject({ signal: 'SIGKILL' })
  await nothingLeft()
})

describe('the certificate that a command is to trust', () => {
  async function startEncrypted() {
    const folder = await temporaryFolder()
    const hangs = join(folder, 'hangs-in-a-close-hook.mjs')
    await writeFile(
      hangs,
      `import http from 'node:http'
      export default ({ signal, onClose }) => {
        signal.addEventListener('abort', () => console.log('closing'))
        onClose(() => new Promise(() => {}))
        return http.createServer()
      }`,
    )
    const temporary = join(folder, 'tmp')
    await mkdir(temporary)
    const files = (): string[] => readdirSync(temporary)
    const args = ['run', '--https', '--grace', '60000', hangs, '--', process.execPath, waits]
    const started = startPortzero([...args, 'by-default'], { env: { TMPDIR: temporary } })
    await printed(started.child.stdout, /waiting/)
    expect(files()).toEqual([expect.stringMatching(/^portzero-.*\.pem$/)])
    const nothingLeft = (): Promise<void> => until(() => files().length === 0, files)
    return { ...started, nothingLeft }
  }

  test('is not left behind by SIGKILL', async () => {
    const { child, ended, nothingLeft } = await startEncrypted()
    child.kill('SIGKILL')
    expect(await ended).toMatchObject({ signal: 'SIGKILL' })
    await nothingLeft()
  })

  test('is not left behind by a second signal, while the server is closed', async () => {
    const { child, ended, nothingLeft } = await startEncrypted()
    child.kill('SIGTERM')
    await printed(child.stderr, /closing/)
    const again = setInterval(() => child.kill('SIGTERM'), 50)
    onTestFinished(() => clearInterval(again))
    expect(await ended).toMatchObject({ code: null, signal: 'SIGTERM' })
    await nothingLeft()
  })
})

describe('what a command has started', () => {
  test('may outlive its own end', async () => {
    const { child, ended } = startPortzero([
      'run',
      server,
      '--',
      process.execPath,
      program('leaves-a-child.js'),
    ])
    const [, pid] = await printed(child.stdout, /child (\d+)/)
    onTestFinished(() => void process.kill(Number(pid), 'SIGKILL'))
    expect(await ended).toMatchObject({ code: 0 })
    expect(isAlive(Number(pid))).toBe(true)
  })

  test('ends with it when it is told to', async () => {
    const { child, ended } = startPortzero([
      'run',
      server,
      '--',
      process.execPath,
      program('leaves-a-child.js'),
      'waits',
    ])
    const [, pid] = await printed(child.stdout, /child (\d+)/)
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ signal: 'SIGTERM' })
    expect(isAlive(Number(pid))).toBe(false)
  })
})

describe('on a terminal', () => {
  const SCRIPT = '/usr/bin/script'

  test('Ctrl-C reaches the command once', async ({ skip }) => {
    if (process.platform !== 'linux' || !existsSync(SCRIPT)) skip(`no ${SCRIPT} on this machine`)
    // Without a shell of its own, which would get the signal too, and may end by it.
    const line = ['exec', process.execPath, PROGRAM, 'run', server, '--', process.execPath, waits]
    const child = spawn(
      SCRIPT,
      ['--quiet', '--return', '--command', `${line.join(' ')} exits`, '/dev/null'],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    let all = ''
    child.stdout.on('data', (chunk) => (all += String(chunk)))
    await printed(child.stdout, /waiting \d+, on a terminal/)
    child.stdin.write('\u0003')
    // And all that it has printed is read.
    const [code] = (await once(child, 'close')) as [number | null]
    onTestFailed(() => console.error(all))
    expect(code).toBe(5)
    expect(all.match(/got SIGINT/g)).toHaveLength(1)
  })
})
