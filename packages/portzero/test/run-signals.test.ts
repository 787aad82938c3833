import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import { PROGRAM, printed, program, startPortzero } from './portzero-command.ts'
import { carriersOf, isAlive, until } from './processes.ts'

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
