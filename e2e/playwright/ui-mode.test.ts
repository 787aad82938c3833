import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { WebSocket } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { answers } from '../../packages/portzero/test/support.ts'
import { openMeeting } from '../meeting.ts'
import { clean, copyProject } from '../run-project.ts'

const playwright = createRequire(import.meta.url).resolve('@playwright/test/cli')

/** What UI mode and the VS Code extension talk to. */
class TestServer {
  /** All that it has told of running tests. */
  readonly events: unknown[] = []
  readonly #socket: WebSocket
  readonly #asked = new Map<number, (result: unknown) => void>()
  #lastId = 0

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      const message = JSON.parse(String(data)) as { id?: number; result?: unknown }
      if (message.id === undefined) this.events.push(message)
      else this.#asked.get(message.id)?.(message.result)
    })
  }

  ask(method: string, params: object = {}): Promise<unknown> {
    const id = (this.#lastId += 1)
    return new Promise((resolve) => {
      this.#asked.set(id, resolve)
      this.#socket.send(JSON.stringify({ id, method, params }))
    })
  }
}

test('UI mode keeps the server from run to run', async () => {
  await using meeting = await openMeeting(2)
  const { folder, remove } = await copyProject('playwright-web-server')
  onTestFinished(remove)
  const child = spawn(process.execPath, [playwright, 'test-server', '--host=127.0.0.1'], {
    cwd: folder,
    env: { ...clean(process.env), MEETING_URL: meeting.url },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  onTestFinished(() => void child.kill('SIGKILL'))
  let address = ''
  for await (const line of createInterface({ input: child.stdout })) {
    address = /Listening on (\S+)/.exec(line)?.[1] ?? ''
    if (address !== '') break
  }
  const socket = new WebSocket(address)
  await new Promise((resolve) => socket.addEventListener('open', resolve))
  const server = new TestServer(socket)
  await server.ask('initialize', { closeOnDisconnect: true, interceptStdio: false })

  expect(await server.ask('runGlobalSetup')).toMatchObject({ status: 'passed' })
  const servers: string[][] = []
  for (let run = 0; run < 2; run += 1) {
    server.events.length = 0
    const locations = ['shared.spec.ts']
    expect(await server.ask('runTests', { locations })).toEqual({ status: 'passed' })
    const told = JSON.stringify(server.events)
    servers.push([...new Set(told.match(/http:\/\/127\.0\.0\.1:\d+ app \d+/g))])
  }

  // One server, in one process, for both workers of both runs.
  expect(servers[0]).toHaveLength(1)
  expect(servers[1]).toEqual(servers[0])
  const port = Number(/:(\d+) /.exec(servers[0]![0]!)![1])
  expect(await answers(port)).toBe(true)
  socket.close()
  await exited
  await expect.poll(() => answers(port), { timeout: 10_000 }).toBe(false)
})
