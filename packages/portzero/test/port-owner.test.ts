import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { delimiter } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { pidsByLsof, pidsListeningOn } from '../dist/processes/port-owner.js'

const LISTEN = `
  const server = require('node:net').createServer()
  server.listen(JSON.parse(process.argv[1]), () => console.log(server.address().port))
`

async function listenHere(host: string): Promise<net.Server> {
  const server = net.createServer().listen(0, host)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return server
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port
}

/** A program that listens, in a process of its own, on a port that the kernel picks or on a socket of ours. */
async function listenElsewhere(server?: net.Server): Promise<{ pid: number; port: number }> {
  const options = server === undefined ? { port: 0, host: '127.0.0.1' } : { fd: 3 }
  const { fd } = (server as unknown as { _handle?: { fd: number } } | undefined)?._handle ?? {}
  const child = spawn(process.execPath, ['-e', LISTEN, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit', fd ?? 'ignore'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return { pid: child.pid as number, port: Number(line) }
}

const ways = [
  { way: 'on this system', pidsOn: pidsListeningOn },
  { way: 'by lsof', pidsOn: pidsByLsof },
]

describe.each(ways)('who listens, found $way', ({ pidsOn }) => {
  test.each(['127.0.0.1', '0.0.0.0', '::1', '::'])('this process at %s', async (host) => {
    const port = portOf(await listenHere(host))
    expect(await pidsOn(port)).toEqual([process.pid])
    expect(await pidsOn(port, [process.pid])).toEqual([process.pid])
  })

  test('another process, told from this one', async () => {
    const { pid, port } = await listenElsewhere()
    expect(await pidsOn(port)).toEqual([pid])
    expect(await pidsOn(port, [process.pid, pid])).toEqual([pid])
    expect(await pidsOn(port, [process.pid])).toEqual([])
    expect(await pidsOn(port, [])).toEqual([])
  })

  test('both that hold the same socket', async () => {
    const server = await listenHere('127.0.0.1')
    const { pid, port } = await listenElsewhere(server)
    expect((await pidsOn(port))?.toSorted((a, b) => a - b)).toEqual([process.pid, pid])
    expect(await pidsOn(port, [pid])).toEqual([pid])
  })

  test('nobody, on the port of a connection', async () => {
    const server = await listenHere('127.0.0.1')
    const socket = net.connect(portOf(server), '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    await once(socket, 'connect')
    expect(await pidsOn(socket.localPort as number)).toEqual([])
  })

  test('nobody, once it is closed', async () => {
    const server = await listenHere('127.0.0.1')
    const port = portOf(server)
    await new Promise((resolve) => server.close(resolve))
    expect(await pidsOn(port)).toEqual([])
  })

  test('nobody, among processes that have ended', async () => {
    const child = spawn(process.execPath, ['-e', ''])
    await once(child, 'exit')
    const port = portOf(await listenHere('127.0.0.1'))
    expect(await pidsOn(port, [child.pid as number])).toEqual([])
    expect(await pidsOn(port, [child.pid as number, process.pid])).toEqual([process.pid])
  })
})

test('without lsof it cannot be told', async () => {
  const { PATH = '' } = process.env
  onTestFinished(() => void (process.env['PATH'] = PATH))
  process.env['PATH'] = ['/nowhere', '/nowhere/else'].join(delimiter)
  expect(await pidsByLsof(80)).toBeUndefined()
})
