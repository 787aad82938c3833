import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Reservation, reservePort } from '../dist/processes/port-reservation.js'
import { failure, holdPort } from './support.ts'

const PROCESSES = 8
const ROUNDS = [1, 2, 3, 4]
const BURST = 50
/** Ports that a stranger takes between the two. */
const STRANGERS = 300

const reservations: Reservation[] = []

afterEach(() => {
  for (const { release } of reservations.splice(0)) release()
})

async function reserve(): Promise<number> {
  const reservation = await reservePort('127.0.0.1')
  reservations.push(reservation)
  return reservation.port
}

function start(program: string, ...args: string[]): ChildProcess {
  return fork(new URL(program, import.meta.url), args)
}

/** A process that reserves ports, until the test ends. */
function startOne(...args: string[]): ChildProcess {
  const child = start('./reserves-ports.js', ...args)
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function ask(child: ChildProcess, order: object | number): Promise<number[]> {
  child.send(order)
  const [answer] = (await once(child, 'message')) as [number[]]
  return answer
}

/** The search for a port begins here, and not at random, for the rest of the test. */
function beginAt(spot: number): string {
  vi.spyOn(Math, 'random').mockReturnValue(spot)
  onTestFinished(() => void vi.restoreAllMocks())
  return String(spot)
}

describe(`${PROCESSES} processes`, () => {
  let children: ChildProcess[] = []
  let stranger: ChildProcess

  const all = async (order: object): Promise<number[]> =>
    (await Promise.all(children.map((child) => ask(child, order)))).flat()

  beforeAll(async () => {
    children = Array.from({ length: PROCESSES }, () => start('./reserves-ports.js'))
    stranger = start('./takes-any-port.js')
    await Promise.all([all({}), ask(stranger, 0)])
  })

  afterAll(() => {
    for (const child of [...children, stranger]) child.kill('SIGKILL')
  })

  test.each(ROUNDS)(
    `that reserve ${BURST} ports each, and bind them later, never meet: round %i`,
    async () => {
      const ports = await all({ reserve: BURST })
      expect(new Set(ports).size).toBe(PROCESSES * BURST)
      await ask(stranger, STRANGERS)
      expect(await all({ bind: true })).toEqual([])
      // The other half is held through all rounds.
      await all({ release: true })
    },
  )
})

test('a port stays reserved while its server runs, and after that until it is released', async () => {
  const spot = beginAt(Math.random())
  const port = await reserve()
  const other = startOne(spot)
  expect(await ask(other, { reserve: 1 })).not.toEqual([port])

  const server = await holdPort(port)
  expect(await ask(other, { reserve: 1 })).not.toEqual([port])
  await new Promise((resolve) => server.close(resolve))
  expect(await ask(other, { reserve: 1 })).not.toEqual([port])

  reservations[0]?.release()
  expect(await ask(other, { reserve: 1 })).toEqual([port])
})

test('what a killed process had reserved is free at once', async () => {
  const owner = startOne(beginAt(Math.random()))
  const [port] = await ask(owner, { reserve: 1 })
  expect(await reserve()).not.toBe(port)

  owner.kill('SIGKILL')
  await once(owner, 'exit')
  expect(await reserve()).toBe(port)
})

test.each(['127.0.0.1', '0.0.0.0', '::1', '::'])(
  'a port on which somebody listens at %s is not reserved',
  async (host) => {
    beginAt(Math.random())
    const { port, release } = await reservePort('127.0.0.1')
    release()
    const stranger = net.createServer().listen(port, host)
    await once(stranger, 'listening')
    onTestFinished(() => void stranger.close())
    expect(await reserve()).not.toBe(port)
  },
)

test('a port is outside of the range from which the kernel gives ports away', async () => {
  const ports = await Promise.all(Array.from({ length: 100 }, reserve))
  const [first, last] = await kernelRange()
  expect(ports.filter((port) => port >= first && port <= last)).toEqual([])
})

async function kernelRange(): Promise<[number, number]> {
  if (process.platform !== 'linux') return [49_152, 65_535]
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  return range.trim().split(/\s+/).map(Number) as [number, number]
}

test('releasing twice does no harm to who has the port next', async () => {
  beginAt(Math.random())
  const first = await reservePort('127.0.0.1')
  first.release()
  const port = await reserve()
  expect(port).toBe(first.port)
  first.release()
  expect(await reserve()).not.toBe(port)
})

test('a reservation does not keep its process alive', async () => {
  const child = startOne()
  await ask(child, { reserve: 10 })
  child.disconnect()
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a host that is not of this machine is an error that says so', async () => {
  const error = await failure(reservePort('192.0.2.1'))
  expect(error.code).toBe('LISTEN_FAILED')
  expect(error.message).toContain('Cannot listen on 192.0.2.1: listen EADDRNOTAVAIL')
  expect(error.message).toContain("Check the option 'host'")
})
