import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { carriersOf, isAlive, until } from './processes.ts'

const node = process.execPath
const owner = new URL('./owner.js', import.meta.url).pathname

interface Told {
  lease: string
  pids: number[]
  starting: string[]
}

/** Runs the owner, with a name in the environment that all its descendants have too. */
function runOwner(...args: string[]): { run: string; child: ChildProcess; stdout: Readable } {
  return runOwnerIn(process.env, ...args)
}

function runOwnerIn(env: NodeJS.ProcessEnv, ...args: string[]): ReturnType<typeof runOwner> {
  const run = randomUUID()
  const child = spawn(node, [owner, ...args], {
    env: { ...env, PORTZERO_TEST_RUN: run },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return { run, child, stdout: child.stdout }
}

async function* told(stdout: Readable): AsyncGenerator<Partial<Told>> {
  for await (const line of createInterface({ input: stdout })) yield JSON.parse(line) as Told
}

async function all(stdout: Readable): Promise<Partial<Told>> {
  const result = {}
  for await (const part of told(stdout)) {
    Object.assign(result, part)
    if (part.pids) break
  }
  return result
}

/** Resolves when nothing is left: no process of the run, no watchdog, nothing of those pids. */
async function nothingLeft(run: string, watchdog: string, pids: number[]): Promise<void> {
  const left = (): number[] => [
    ...new Set([...carriersOf(run), ...carriersOf(watchdog), ...pids.filter(isAlive)]),
  ]
  await until(() => left().length === 0, left)
}

describe('an owner that ends', () => {
  const signals = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP']
  const endings = [...signals, 'process.exit', 'an uncaught error']
  const moments = ['starting', 'running', 'stopping']
  const cases = moments.flatMap((moment) => endings.map((ending) => ({ moment, ending })))

  test.for(cases)('$ending, while $moment, leaves nothing behind', async ({ moment, ending }) => {
    const { run, child, stdout } = runOwner(moment, ending)
    const gone = once(child, 'exit')
    const { lease: watchdog = '', pids = [] } = await all(stdout)
    await gone
    expect(pids.length > 0).toBe(moment !== 'starting')
    await nothingLeft(run, watchdog, pids)
  })

  test.for(Array.from({ length: 25 }, (_, round) => ({ round })))(
    'by SIGKILL amid starting leaves nothing behind ($round)',
    async ({ round }) => {
      const { run, child, stdout } = runOwner('starting one after another')
      const gone = once(child, 'exit')
      let watchdog = ''
      let started = 0
      for await (const part of told(stdout)) {
        watchdog ||= part.lease ?? ''
        if (part.starting === undefined) continue
        if (started === round % 5) child.kill('SIGKILL')
        started += 1
      }
      await gone
      expect(started).toBeGreaterThan(round % 5)
      await nothingLeft(run, watchdog, [])
    },
  )

  test('by SIGKILL after its watchdog was replaced leaves nothing behind', async () => {
    // Elsewhere it cannot be found.
    if (process.platform !== 'linux') return
    const { run, child, stdout } = runOwner('running')
    const gone = once(child, 'exit')
    const { lease = '', pids = [] } = await all(stdout)
    const watchdog = (): number => {
      const owned = new Set(carriersOf(run))
      return carriersOf(lease).find((pid) => !owned.has(pid)) ?? 0
    }
    const first = watchdog()
    process.kill(first, 'SIGKILL')
    await until(() => ![0, first].includes(watchdog()), watchdog)
    child.kill('SIGKILL')
    expect(await gone).toEqual([null, 'SIGKILL'])
    await nothingLeft(run, lease, pids)
  })

  test('by SIGKILL before a new watchdog is told anything leaves nothing behind', async () => {
    const program = `
      import { writeSync } from 'node:fs'
      import processes from 'node:child_process'
      import { syncBuiltinESMExports } from 'node:module'
      const { spawn } = processes
      const watchdogs = []
      processes.spawn = (file, ...rest) => {
        const child = spawn(file, ...rest)
        if (file !== '/bin/sh') return child
        if (watchdogs.push(child) > 1) process.kill(process.pid, 'SIGKILL')
        return child
      }
      syncBuiltinESMExports()
      const { OwnedProcess } = await import('${new URL('../dist/processes/owned-process.js', import.meta.url).href}')
      // Its environment does not tell whose it is.
      const args = ['-i', process.execPath, '-e', 'setInterval(() => {}, 60_000)']
      const { pid } = await OwnedProcess.spawn({ file: '/usr/bin/env', args, env: process.env })
      writeSync(1, String(pid))
      watchdogs[0].kill('SIGKILL')
    `
    const child = spawn(node, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [pid] = await Promise.all([text(child.stdout), once(child, 'exit')])
    expect(Number(pid)).toBeGreaterThan(0)
    await until(
      () => !isAlive(Number(pid)),
      () => pid,
    )
  })

  const inThread = moments.flatMap((moment) =>
    ['terminate()', 'process.exit', 'an uncaught error'].map((ending) => ({ moment, ending })),
  )

  test.for(inThread)(
    '$ending, while $moment, in a thread leaves nothing behind',
    async ({ moment, ending }) => {
      const run = randomUUID()
      const worker = new Worker(owner, {
        argv: ending === 'terminate()' ? [moment] : [moment, ending],
        env: { ...process.env, PORTZERO_TEST_RUN: run },
      })
      onTestFinished(async () => void (await worker.terminate()))
      let watchdog = ''
      let pids: number[] = []
      worker.on('message', (part: Partial<Told>) => {
        watchdog ||= part.lease ?? ''
        pids = part.pids ?? pids
        const isTime = moment === 'starting' || part.pids !== undefined
        if (ending === 'terminate()' && isTime) void worker.terminate()
      })
      worker.on('error', () => {})
      await new Promise((resolve) => worker.on('exit', resolve))
      expect(pids.length > 0).toBe(moment !== 'starting')
      await nothingLeft(run, watchdog, pids)
    },
  )

  test('by itself is not kept by what it has stopped, nor by its watchdog', async () => {
    const { run, child, stdout } = runOwner('stopped')
    const gone = once(child, 'exit')
    const { lease: watchdog = '', pids = [] } = await all(stdout)
    expect(await gone).toEqual([0, null])
    expect(pids).not.toEqual([])
    await nothingLeft(run, watchdog, pids)
  })

  test.for([
    { args: ['stopped'], looks: false },
    { args: ['running', 'SIGKILL'], looks: true },
  ])('with $args has its watchdog look for what is left: $looks', async ({ args, looks }) => {
    if (process.platform !== 'linux') return
    const folder = mkdtempSync(join(tmpdir(), 'portzero-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const looked = join(folder, 'looked')
    // What it finds the processes with.
    writeFileSync(join(folder, 'grep'), `#!/bin/sh\n: > ${looked}\nexec /bin/grep "$@"\n`, {
      mode: 0o755,
    })
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH']}` }
    const { run, stdout } = runOwnerIn(env, ...args)
    const { lease: watchdog = '', pids = [] } = await all(stdout)
    await nothingLeft(run, watchdog, pids)
    expect(existsSync(looked)).toBe(looks)
  })
})
