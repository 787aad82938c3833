import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { OwnedProcess } from '../dist/processes/owned-process.js'
import type { ProcessSpec } from '../dist/processes/owned-process.js'
import { lease } from '../dist/processes/watchdog.js'
import { carriersOf, isAlive, misbehaving, until } from './processes.ts'

const isLinux = process.platform === 'linux'
const node = process.execPath
const obeys = ['-e', 'setInterval(() => {}, 60_000); console.log(`ready ${process.pid}`)']
const run = randomUUID()
const TERM = { signal: 'SIGTERM', grace: 2_000 } as const

const started: OwnedProcess[] = []

async function start(spec: Partial<ProcessSpec>): Promise<OwnedProcess> {
  const env = { ...process.env, PORTZERO_TEST_RUN: run }
  const owned = await OwnedProcess.spawn({ file: node, args: obeys, env, ...spec })
  started.push(owned)
  return owned
}

afterEach(async () => {
  for (const owned of started.splice(0)) await owned.stop({ signal: 'SIGKILL', grace: 0 })
  expect(carriersOf(run)).toEqual([])
})

/** The pid that a child says it has, or that a child of its own does. */
function ready({ output }: OwnedProcess): Promise<number> {
  return new Promise((resolve) => {
    output.onLine((line) => {
      if (line.startsWith('ready ')) resolve(Number(line.slice('ready '.length)))
    })
  })
}

describe('stop()', () => {
  const shell = misbehaving('behind-a-shell.sh')
  const leaver = misbehaving('leaves-a-job-behind.sh')
  const stubborn = misbehaving('leaves-a-stubborn-job-behind.sh')

  test.for<{ name: string; file?: string; args: string[] }>([
    { name: 'that obeys', args: obeys },
    {
      name: 'whose work is done by a child of a shell',
      file: '/bin/sh',
      args: [shell, node, ...obeys],
    },
    { name: 'that has left a job behind', file: '/bin/sh', args: [leaver] },
    ...(isLinux
      ? [
          { name: 'with a detached grandchild', args: [misbehaving('detached-grandchild.js')] },
          {
            name: 'with a grandchild without environment',
            args: [misbehaving('grandchild-without-environment.js')],
          },
        ]
      : []),
  ])('ends a child $name, gracefully', async ({ name: _name, ...spec }) => {
    const owned = await start(spec)
    const pid = await ready(owned)
    expect(await owned.stop(TERM)).toBe('graceful')
    expect([owned.pid, pid].filter(isAlive)).toEqual([])
  })

  test.for<{ name: string; file?: string; args: string[] }>([
    { name: 'that ignores SIGTERM', args: [misbehaving('ignores-sigterm.js')] },
    { name: 'that blocks its event loop', args: [misbehaving('blocks-event-loop.js')] },
    { name: 'that has left a stubborn job behind', file: '/bin/sh', args: [stubborn] },
    ...(isLinux
      ? [
          {
            name: 'with a detached grandchild that ignores SIGTERM',
            args: [misbehaving('detached-grandchild-that-ignores-sigterm.js')],
          },
        ]
      : []),
  ])('kills a child $name, after the grace', async ({ name: _name, ...spec }) => {
    const owned = await start(spec)
    const pid = await ready(owned)
    const startedAt = performance.now()
    expect(await owned.stop({ signal: 'SIGTERM', grace: 100 })).toBe('killed')
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(100)
    expect([owned.pid, pid].filter(isAlive)).toEqual([])
  })

  test('reads to its end what a child of a shell writes while it ends', async () => {
    const program = `setInterval(() => {}, 60_000)
      process.on('SIGTERM', () => {
        const lines = ['asked', 'closing', 'closed']
        setInterval(() => lines.length > 0 ? console.log(lines.shift()) : process.exit(), 30)
      })
      console.log('ready', process.pid)`
    const owned = await start({ file: '/bin/sh', args: [shell, node, '-e', program] })
    await ready(owned)
    expect(await owned.stop(TERM)).toBe('graceful')
    expect(owned.output.lines.slice(-3)).toEqual(['asked', 'closing', 'closed'])
  })

  test('does the same again, and has nothing to do for what has ended by itself', async () => {
    const owned = await start({ args: ['-e', ''] })
    await owned.exited
    const stopped = owned.stop(TERM)
    expect(owned.stop(TERM)).toBe(stopped)
    expect(await stopped).toBe('graceful')
    expect(owned.exit).toEqual({ code: 0, signal: null })
  })

  test('with SIGKILL kills, at once', async () => {
    const owned = await start({})
    expect(await owned.stop({ signal: 'SIGKILL', grace: 60_000 })).toBe('killed')
    expect(owned.exit).toEqual({ code: null, signal: 'SIGKILL' })
  })

  test('stops a child that has not come to run yet', async () => {
    const owned = await start({})
    expect(await owned.stop(TERM)).toBe('graceful')
    expect(owned.exit).toEqual({ code: null, signal: 'SIGTERM' })
  })

  test('signals what a child has started after it, where that is asked to end in another way', async () => {
    const program = `
      const { spawn } = require('node:child_process')
      const left = spawn('sleep', ['60'], { stdio: 'ignore' })
      const needed = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] })
      process.once('message', () => needed.stdin.end())
      needed.once('exit', (code, signal) => console.log('needed until it ended:', code, signal))
      needed.once('exit', () => process.exit())
      console.log('ready ' + left.pid)
    `
    const owned = await start({ args: ['-e', program], descriptors: ['ipc'] })
    const pid = await ready(owned)
    const stopped = owned.stop({ ...TERM, isAsked: true })
    owned.child.send('end')
    expect(await stopped).toBe('graceful')
    expect(owned.output.lines).toContain('needed until it ended: 0 null')
    expect(owned.exit).toEqual({ code: 0, signal: null })
    expect(isAlive(pid)).toBe(false)
  })

  test('of a child that is an owner itself ends what that one owns', async () => {
    const owner = new URL('./owner.js', import.meta.url).pathname
    const owned = await start({ args: [owner, 'running'] })
    const pids = await new Promise<number[]>((resolve) => {
      owned.output.onLine((line) => {
        const told = JSON.parse(line) as { pids?: number[] }
        if (told.pids) resolve(told.pids)
      })
    })
    // Those that do not obey are killed: by us, or by the watchdog of their owner.
    await owned.stop(TERM)
    expect(pids).not.toEqual([])
    await until(
      () => !pids.some(isAlive),
      () => pids.filter(isAlive),
    )
  })
})

describe('a child', () => {
  test('that dies leaves its exit and its last lines', async () => {
    const owned = await start({ args: [misbehaving('dies-at-once.js')] })
    expect(owned.exit).toBeUndefined()
    expect(await owned.exited).toEqual({ code: 3, signal: null })
    expect(owned.exit).toEqual({ code: 3, signal: null })
    expect(owned.output.lines).toEqual(['There is no database.'])
  })

  test('that dies after it wrote much is read to the end', async () => {
    const program = 'for (let line = 1; line <= 50_000; line += 1) console.log(`line ${line}`)'
    const owned = await start({ args: ['-e', program] })
    let lines = 0
    owned.output.onLine(() => (lines += 1))
    await owned.exited
    expect(owned.output.text(1)).toBe('line 50000')
    expect(lines).toBe(50_000)
  })

  test.for(['leaves-a-job-behind.sh', 'detached-grandchild-that-ignores-sigterm.js'])(
    'has exited when it has, whoever holds its output: %s',
    async (name) => {
      const program = misbehaving(name)
      const owned = await start({ file: name.endsWith('.sh') ? '/bin/sh' : node, args: [program] })
      const closed = once(owned.child, 'close')
      expect(await owned.exited).toEqual({ code: 0, signal: null })
      // Its pipes were let go.
      await closed
    },
  )

  test('has exited when it has, also if another one writes to its output without end', async () => {
    const owned = await start({ args: [misbehaving('grandchild-that-never-stops-writing.js')] })
    expect(await owned.exited).toEqual({ code: 3, signal: null })
    expect(await owned.stop(TERM)).toBe('graceful')
  })

  test('that cannot be started is an error', async () => {
    await expect(start({ file: '/nowhere/at-all' })).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(start({ cwd: '/nowhere/at-all' })).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(start({ file: '/' })).rejects.toMatchObject({ code: 'EACCES' })
    await expect(start({ file: '' })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  })

  test('inherits descriptors, and has a channel', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle
    const program = `
      const server = require('node:net').createServer((socket) => socket.end('from the child'))
      server.listen({ fd: 3 }, () => process.send(new Map([['listens', true]])))
    `
    const owned = await start({
      args: ['-e', program],
      descriptors: [fd, 'ipc'],
      serialization: 'advanced',
    })
    server.close()
    const [message] = (await once(owned.child, 'message')) as [unknown]
    expect(message).toEqual(new Map([['listens', true]]))
    const [answer] = (await once(net.connect(port, '127.0.0.1'), 'data')) as [Buffer]
    expect(answer.toString()).toBe('from the child')
    expect(await owned.stop(TERM)).toBe('graceful')
  })
})

describe('the watchdog', () => {
  test('is one, holds nothing of its owner but its end of the pipe, and does not carry the marker', async () => {
    const [first, second] = await Promise.all([start({}), start({})])
    await Promise.all([ready(first), ready(second)])
    if (!isLinux) return
    const carriers = carriersOf(lease)
    const watchdog = carriers.find((pid) => pid !== first.pid && pid !== second.pid) ?? 0
    expect(carriers).toHaveLength(3)
    const links = (pid: number): string[] =>
      readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    const [pipe, ...others] = links(watchdog)
    expect(pipe).toMatch(/^socket:/)
    // A descriptor above 9 that the runner itself was given to pass on would be there too.
    const given = new Set(['/dev/null', ...links(process.ppid)])
    expect(others.filter((link) => !given.has(link))).toEqual([])
    expect(carriersOf(run)).not.toContain(watchdog)
  })

  test('is replaced if somebody ends it, and takes no notice of signals that ask', async () => {
    if (!isLinux) return
    const owned = await start({})
    const watchdog = (): number => carriersOf(lease).find((pid) => pid !== owned.pid) ?? 0
    const first = watchdog()
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.kill(first, signal)
    expect(watchdog()).toBe(first)
    process.kill(first, 'SIGKILL')
    await until(() => ![0, first].includes(watchdog()), watchdog)
  })

  test.for([
    {
      instead: '/nowhere',
      told: ['Cannot start the watchdog that ends child processes with their owner.'],
    },
    {
      instead: '/bin/sleep',
      told: [
        'started',
        'The watchdog that ends child processes with their owner ends each time it is started. What runs now may be left behind.',
        'The watchdog that ends child processes with their owner ends each time it is started.',
      ],
    },
  ])('is missed by who starts a child: $instead instead of a shell', async ({ instead, told }) => {
    const program = `
      import processes from 'node:child_process'
      import { syncBuiltinESMExports } from 'node:module'
      const { spawn } = processes
      processes.spawn = (file, ...rest) => spawn(file === '/bin/sh' ? '${instead}' : file, ...rest)
      syncBuiltinESMExports()
      const { OwnedProcess } = await import('${new URL('../dist/processes/owned-process.js', import.meta.url).href}')
      const start = (code) => OwnedProcess.spawn({ file: process.execPath, args: ['-e', code], env: process.env })
      const tell = (error) => console.log(error.message)
      const child = await start('setInterval(() => {}, 60_000)').catch(tell)
      if (child) {
        console.log('started')
        tell(await new Promise((resolve) => process.once('warning', resolve)))
        await start('').catch(tell)
        await child.stop({ signal: 'SIGTERM', grace: 2_000 })
      }
    `
    const { stdout } = await promisify(execFile)(node, ['--input-type=module', '-e', program])
    expect(stdout.trimEnd().split('\n')).toEqual(told)
  })
})
