import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { getuid, platform } from 'node:process'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { list, start } from 'portzero'
import { claimName } from '../dist/background/claim-name.js'
import { identify, isAlive } from '../dist/background/process-identity.js'
import type { ProcessIdentity } from '../dist/background/process-identity.js'
import { Registry, ownIdentity } from '../dist/background/registry.js'
import type { HeldRecord } from '../dist/background/registry.js'
import { APP, act, useBackground } from './background.ts'
import type { Outcome } from './background.ts'
import { failure } from './support.ts'

const { folder, state, files, write } = useBackground()

const record: HeldRecord = {
  version: 1,
  id: '0123456789abcdef',
  name: 'api',
  state: 'ready',
  holder: ownIdentity(),
  target: 'an app',
  cwd: '/',
  startedAt: new Date(0).toISOString(),
  startTimeout: 1_000,
}

function withId(number: number): HeldRecord {
  return { ...record, id: number.toString(16).padStart(16, '0') }
}

describe('a process is known', () => {
  test('as long as it lives', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: 'pipe' })
    const identity = identify(child.pid ?? 0) as ProcessIdentity
    expect(isAlive(identity)).toBe(true)
    child.stdin.end()
    await once(child, 'exit')
    expect(isAlive(identity)).toBe(false)
  })

  test('from one that has its number now', () => {
    expect(isAlive(ownIdentity())).toBe(true)
    expect(isAlive({ ...ownIdentity(), start: 'another time' })).toBe(false)
  })

  test.skipIf(platform !== 'linux')('from one that nobody has taken notice of', async () => {
    // The shell becomes a program that never asks for its children.
    const parent = spawn('/bin/sh', ['-c', 'true & echo $!; exec sleep 60'])
    const [pid] = (await once(parent.stdout, 'data')) as [Buffer]
    await expect.poll(() => identify(Number(pid))).toBe(undefined)
    parent.kill()
    await once(parent, 'exit')
  })
})

describe('the registry', () => {
  test('is for this user alone', () => {
    const registry = new Registry()
    registry.write(record)
    expect(statSync(state).mode & 0o777).toBe(0o700)
    expect(files().map((file) => statSync(path.join(state, file)).mode & 0o777)).toEqual([0o600])
    registry.remove(record)
  })

  test('forgets what is gone, and all that belongs to it', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    const gone = { ...withId(1), holder: identify(child.pid ?? 0) as ProcessIdentity }
    await once(child, 'exit')
    const reused = { ...withId(2), holder: { pid: process.pid, start: 'long ago' } }
    const registry = new Registry()
    for (const one of [gone, reused, withId(3)]) {
      registry.write(one)
      writeFileSync(registry.logOf(one), 'said')
    }
    expect(registry.list()).toEqual([withId(3)])
    expect(files()).toHaveLength(2)
    registry.remove(withId(3))
  })

  test.skipIf(platform !== 'linux')('keeps what it has where the disk is full', async () => {
    const registry = new Registry()
    registry.write(record)
    symlinkSync('/dev/full', path.join(state, `${record.id}.new`))
    const error = await failure((async () => registry.write({ ...record, state: 'died' }))())
    expect(error).toMatchObject({ code: 'STATE_DIR_FAILED', cause: { code: 'ENOSPC' } })
    expect(registry.list()).toEqual([record])
    registry.remove(record)
    expect(files()).toEqual([])
  })

  test.for([
    '',
    '{"version":1,"id":"01',
    'null',
    '[]',
    '{"version":1,"id":"0123456789abcdef","name":"api"}',
    '{"version":1,"id":"0123456789abcdef","name":"api","state":"ready","target":"","holder":null}',
    '{"version":1,"id":"0123456789abcdef","name":"api","state":"ready","target":"","holder":{"pid":"1"}}',
  ])('is not put off by a damaged record: %s', (text) => {
    const registry = new Registry()
    writeFileSync(path.join(state, 'api.0123456789abcdef.json'), text)
    registry.write(withId(1))
    expect(registry.list()).toEqual([withId(1)])
    expect(files()).toHaveLength(2)
    rmSync(state, { recursive: true })
  })

  test('takes nothing but files for its own', () => {
    const registry = new Registry()
    mkdirSync(path.join(state, `${record.id}.log`))
    utimesSync(path.join(state, `${record.id}.log`), 0, 0)
    if (platform !== 'win32') execFileSync('mkfifo', [path.join(state, `api.${record.id}.json`)])
    expect(registry.list()).toEqual([])
    rmSync(state, { recursive: true })
  })

  test('leaves alone what it does not know, and what is being made', () => {
    const registry = new Registry()
    const others = ['api.0123456789abcdef.json', 'notes.txt', '0123456789abcdee.log']
    for (const name of others) writeFileSync(path.join(state, name), '{"version":2}')
    expect(registry.list()).toEqual([])
    expect(files().toSorted()).toEqual(others.toSorted())
    const stray = path.join(state, others[2] ?? '')
    utimesSync(stray, 0, 0)
    registry.list()
    expect(files()).toHaveLength(2)
    rmSync(state, { recursive: true })
  })
})

describe('a name', () => {
  const registry = (): Registry => new Registry()

  test('goes to one of many that want it', async () => {
    const claims = Array.from({ length: 8 }, (_, index) => claimName(registry(), withId(8 - index)))
    const outcomes = await Promise.allSettled(claims)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const [winner, ...others] = registry().list()
    expect(others).toEqual([])
    expect(winner?.state).toBe('starting')
    registry().remove(winner as HeldRecord)
  })

  test('is not taken by one that is gone', async () => {
    const gone = { ...withId(1), holder: { ...ownIdentity(), start: 'long ago' } }
    registry().write(gone)
    const claimed = await claimName(registry(), withId(2))
    expect(registry().list()).toEqual([claimed])
    registry().remove(claimed)
  })

  test('waits for one that has not made up its mind', async () => {
    const undecided: HeldRecord = { ...withId(2), state: 'claiming' }
    registry().write(undecided)
    const claiming = claimName(registry(), withId(1))
    registry().write({ ...undecided, state: 'starting' })
    expect((await failure(claiming)).code).toBe('NAME_TAKEN')
    expect(registry().list()).toMatchObject([{ id: undecided.id }])
    registry().remove(undecided)
  })
})

describe('the directory', () => {
  const unsafe = path.join(folder, 'unsafe')
  beforeEach(() => {
    process.env['PORTZERO_STATE_DIR'] = unsafe
  })
  afterEach(() => {
    process.env['PORTZERO_STATE_DIR'] = state
    mkdirSync(state, { recursive: true, mode: 0o700 })
  })

  async function refusal(): Promise<string> {
    const error = await failure(start('./app.js', { name: 'api' }))
    expect(error.code).toBe('STATE_DIR_UNSAFE')
    expect((await failure(list())).code).toBe('STATE_DIR_UNSAFE')
    return error.message
  }

  test('must not be a link', async () => {
    mkdirSync(path.join(folder, 'elsewhere'), { mode: 0o700 })
    symlinkSync(path.join(folder, 'elsewhere'), unsafe)
    expect(await refusal()).toContain('It is a link.')
  })

  test('must not be a file', async () => {
    writeFileSync(unsafe, '')
    expect(await refusal()).toContain('It is no directory.')
  })

  test('must not be open to others', async () => {
    mkdirSync(unsafe)
    chmodSync(unsafe, 0o750)
    expect(await refusal()).toContain('It has the mode 0750.')
  })

  test('must be owned by this user', async () => {
    if (getuid?.() === 0) {
      mkdirSync(unsafe, { mode: 0o700 })
      chownSync(unsafe, 4_711, 4_711)
    } else process.env['PORTZERO_STATE_DIR'] = '/'
    expect(await refusal()).toMatch(/It is owned by the user \d+\./)
  })

  test('must be one that can be made', async () => {
    writeFileSync(path.join(folder, 'file'), '')
    process.env['PORTZERO_STATE_DIR'] = path.join(folder, 'file', 'below')
    expect((await failure(list())).code).toBe('STATE_DIR_FAILED')
  })

  test('may have a path that is too long for a socket', async () => {
    process.env['PORTZERO_STATE_DIR'] = path.join(folder, 'long'.repeat(30))
    const server = await start(write('app.mjs', APP), { name: 'api' })
    expect((await server.fetch('/')).status).toBe(200)
    await server.stop()
    expect(readdirSync(process.env['PORTZERO_STATE_DIR'])).toEqual([])
  })
})

describe('at the same time', () => {
  test('one of several starts of a name succeeds', { timeout: 60_000 }, async () => {
    const app = write('app.mjs', APP)
    for (let round = 0; round < 3; round += 1) {
      const outcomes = await Promise.all([1, 2, 3, 4].map(() => act('start', 'api', app)))
      const started = outcomes.filter(({ code }) => code === undefined)
      expect(started).toHaveLength(1)
      const refused = outcomes.filter(({ code }) => code === 'NAME_TAKEN')
      expect(refused).toHaveLength(3)
      expect(await act('connect', 'api')).toMatchObject({ url: started[0]?.url })
      expect(await act('stop', 'api')).toMatchObject({ outcome: 'graceful' })
    }
  })

  test('starts and stops of a few names confuse nothing', { timeout: 120_000 }, async () => {
    const app = write('app.mjs', APP)
    const names = ['one', 'two', 'three']
    const acts = Array.from({ length: 20 }, () => {
      const name = names[Math.floor(Math.random() * names.length)] ?? ''
      const verb = Math.random() < 0.6 ? 'start' : 'stop'
      return act(verb, name, app).then((outcome) => ({ verb, name, outcome }))
    })
    const done = await Promise.all(acts)
    const fine: Record<string, (outcome: Outcome) => boolean> = {
      start: ({ code }) => code === undefined || code === 'NAME_TAKEN',
      stop: ({ code, outcome }) =>
        outcome === 'graceful' || code === 'NOT_RUNNING' || code === 'SERVER_CLOSED',
    }
    expect(done.filter(({ verb, outcome }) => fine[verb]?.(outcome) !== true)).toEqual([])
    const running = await list()
    for (const { name, url } of running) {
      const count = (verb: string, success: (outcome: Outcome) => boolean): number =>
        done.filter((one) => one.verb === verb && one.name === name && success(one.outcome)).length
      const starts = count('start', ({ code }) => code === undefined)
      const stops = count('stop', ({ code }) => code === undefined)
      // One more was started than ended, though two that stop one server may both be told of it.
      expect(starts).toBeGreaterThan(0)
      expect(starts - stops).toBeLessThanOrEqual(1)
      expect(await act('connect', name)).toMatchObject({ url })
    }
    expect(new Set(running.map(({ name }) => name)).size).toBe(running.length)
  })
})
