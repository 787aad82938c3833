import { spawnSync } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import http from 'node:http'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { serve } from 'portzero'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { answers, failure, gate, holdPort } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'

const saying =
  (text: string): http.RequestListener =>
  (_request, response) =>
    void response.end(text)

const portOf = (server: Server): number => (server.address() as AddressInfo).port

let taken: Server | undefined
beforeEach(async () => (taken = await holdPort(3000).catch(() => undefined)))
afterEach(() => void taken?.close())

describe('an app that starts itself', () => {
  test('is caught after awaits, timers and events', async () => {
    await using server = await serve(async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      await new Promise((resolve) => process.nextTick(resolve))
      http.createServer(saying('caught')).listen(3000)
    })
    expect(await (await server.fetch('/')).text()).toBe('caught')
  })

  test.each([
    ['a number', [3000]],
    ['a number and a host', [3000, '0.0.0.0']],
    ['a number, a host and a backlog', [3000, '0.0.0.0', 10]],
    ['a string', ['3000']],
    ['options', [{ port: 3000, host: 'localhost', exclusive: true }]],
    ['options with a string', [{ port: '3000' }]],
  ])('may ask for its port as %s', async (_how, args) => {
    let told = false
    await using server = await serve(() => {
      const app = http.createServer(saying('caught'))
      app.listen(...(args as [number]), () => (told = true))
    })
    expect(await (await server.fetch('/')).text()).toBe('caught')
    expect(told).toBe(true)
  })

  test('sees the address that it really has', async () => {
    let address: unknown
    await using server = await serve(async () => {
      const app = http.createServer(saying('caught')).listen(3000)
      await new Promise((resolve) => app.once('listening', resolve))
      address = app.address()
    })
    expect(address).toMatchObject({ address: '127.0.0.1', port: server.port })
  })

  test('is closed by the signal that it gave to listen()', async () => {
    const controller = new AbortController()
    const app = http.createServer(saying('caught'))
    await using server = await serve(() => {
      app.listen({ port: 3000, signal: controller.signal })
    })
    const closed = new Promise((resolve) => app.once('close', resolve))
    controller.abort()
    await closed
    expect(await answers(server.port)).toBe(false)
  })

  test('keeps a second server as it asked for, and both are closed', async () => {
    const free = await holdPort(0)
    const port = portOf(free)
    await new Promise((resolve) => free.close(resolve))
    const server = await serve(() => {
      http.createServer(saying('app')).listen(3000)
      http.createServer(saying('metrics')).listen(port)
    })
    expect(await (await server.fetch('/')).text()).toBe('app')
    expect(await (await server.fetch(`http://127.0.0.1:${port}/`)).text()).toBe('metrics')
    await server.close()
    expect(await answers(port)).toBe(false)
  })
})

describe('servers that are no part of the load', () => {
  test('stay as they are while a load runs', async () => {
    const released = gate()
    const loading = serve(async () => {
      await released.opened
      http.createServer(saying('app')).listen(3000)
    })
    const other = http.createServer(saying('other')).listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await new Promise((resolve) => other.once('listening', resolve))
    released.open()
    await using server = await loading
    expect(portOf(other)).not.toBe(server.port)
    expect(await (await server.fetch(`http://127.0.0.1:${portOf(other)}/`)).text()).toBe('other')
  })

  test('of two loads at once, each catches its own', async () => {
    const start = (name: string) => () => {
      setImmediate(() => http.createServer(saying(name)).listen(3000))
    }
    const names = Array.from({ length: 10 }, (_, index) => `app ${index}`)
    const servers = await Promise.all(names.map((name) => serve(start(name))))
    const bodies = await Promise.all(servers.map(async ({ fetch }) => (await fetch('/')).text()))
    expect(bodies).toEqual(names)
    await Promise.all(servers.map((server) => server.close()))
  })

  test('a server that is started by a request is not caught', async () => {
    await using server = await serve(
      () => async (_request: unknown, response: http.ServerResponse) => {
        const inner = http.createServer(saying('inner')).listen(0, '127.0.0.1')
        await new Promise((resolve) => inner.once('listening', resolve))
        response.end(String(portOf(inner)))
        inner.close()
      },
    )
    expect(Number(await (await server.fetch('/')).text())).not.toBe(server.port)
  })
})

describe('helpers that a factory starts', () => {
  test('on port 0 keep a port of their own, and are closed with the server', async () => {
    let helper: http.Server | undefined
    const server = await serve(async () => {
      helper = http.createServer(saying('helper')).listen(0, '127.0.0.1')
      await new Promise((resolve) => helper?.once('listening', resolve))
      return saying(`app with ${portOf(helper)}`)
    })
    const port = portOf(helper!)
    expect(port).not.toBe(server.port)
    expect(await (await server.fetch('/')).text()).toBe(`app with ${port}`)
    await server.close()
    expect(await answers(port)).toBe(false)
  })

  test('are closed before they listen, when they still look up their host', async () => {
    const helpers: http.Server[] = []
    const start = (): void => {
      helpers.push(http.createServer(saying('helper')).listen(0, 'localhost'))
    }
    const server = await serve(() => {
      start()
      return saying('app')
    })
    await server.close()
    await failure(
      serve(() => {
        start()
        throw new Error('no database')
      }),
    )
    // Asked after theirs.
    await lookup('localhost')
    expect(helpers.map(({ listening }) => listening)).toEqual([false, false])
  })

  test('of another protocol are not taken for the app', async () => {
    await using server = await serve(() => {
      createServer()
        .listen(3000)
        .on('error', () => {})
      return saying('app')
    })
    expect(await (await server.fetch('/')).text()).toBe('app')
  })

  test('are served on both addresses if there is nothing else', async () => {
    let own: http.Server | undefined
    await using server = await serve(() => {
      own = http.createServer(saying('port 0')).listen(0, '127.0.0.1')
    })
    expect(await (await server.fetch('/')).text()).toBe('port 0')
    expect(await (await server.fetch(`http://127.0.0.1:${portOf(own!)}/`)).text()).toBe('port 0')
  })

  test('on a fixed port make it unclear what to serve', async () => {
    const error = await failure(
      serve(() => {
        http.createServer(saying('which')).listen(3000)
        return { fetch: () => new Response('one') }
      }),
    )
    expect(error.code).toBe('AMBIGUOUS_TARGET')
    expect(error.message).toContain('port 3000')
  })

  test('may be started with serve() inside the factory', async () => {
    await using server = await serve(async ({ onClose }) => {
      const inner = await serve(saying('inner'))
      onClose(() => inner.close())
      return { fetch: async () => new Response(await (await inner.fetch('/')).text()) }
    })
    expect(await (await server.fetch('/')).text()).toBe('inner')
  })
})

describe('a module', () => {
  const selfStarting = `
    import http from 'node:http'
    await new Promise((resolve) => setTimeout(resolve, 1))
    const copy = Math.random()
    http.createServer((request, response) => response.end(String(copy))).listen(3000)
  `

  test('by path and by URL, that starts itself, ten at once', async () => {
    const path = join(await temporaryFolder(), 'server.mjs')
    await writeFile(path, selfStarting)
    const targets = Array.from({ length: 10 }, (_, index) =>
      index % 2 ? path : pathToFileURL(path),
    )
    const servers = await Promise.all(targets.map((target) => serve(target)))
    const bodies = await Promise.all(servers.map(async ({ fetch }) => (await fetch('/')).text()))
    expect(new Set(bodies).size).toBe(10)
    await Promise.all(servers.map((server) => server.close()))
  })

  test('that imports one with a top-level await, and starts itself after it', async () => {
    const folder = await temporaryFolder()
    await writeFile(
      join(folder, 'slow.mjs'),
      'await new Promise((resolve) => setTimeout(resolve, 5))',
    )
    await writeFile(join(folder, 'server.mjs'), `import './slow.mjs'\n${selfStarting}`)
    await using server = await serve(join(folder, 'server.mjs'))
    expect((await server.fetch('/')).status).toBe(200)
  })

  test.for([
    ['of an app', 'export default (async () => ({ fetch: () => new Response("here") }))()'],
    ['of a server', 'export default Promise.resolve(server)'],
    ['of a module', 'export default Promise.resolve({ app: server })'],
    [
      'that is over when it listens',
      'export default new Promise((resolve) => server.listen(3000, resolve))',
    ],
    [
      'of an address',
      'server.listen(3000); export default Promise.resolve("http://127.0.0.1:3000")',
    ],
    ['that is never over', 'server.listen(3000); export default new Promise(() => {})'],
    ['beside the app', 'export default Promise.resolve(); export { server }'],
  ] as const)('that exports a promise %s', async ([, source]) => {
    const path = join(await temporaryFolder(), 'server.mjs')
    const server = `import http from 'node:http'
      const server = http.createServer((request, response) => response.end('here'))`
    await writeFile(path, `${server}\n${source}`)
    await using live = await serve(path)
    expect(await (await live.fetch('/')).text()).toBe('here')
  })

  test('that exports a promise which is rejected', async () => {
    const path = join(await temporaryFolder(), 'server.mjs')
    await writeFile(path, `export default Promise.reject(new Error('no database'))`)
    expect(await failure(serve(path))).toMatchObject({
      code: 'FACTORY_FAILED',
      message: 'The promise that the module exports was rejected: no database',
    })
  })

  test('of CommonJS, that starts itself, twice', async () => {
    const path = join(await temporaryFolder(), 'server.cjs')
    await writeFile(
      path,
      `require('node:http').createServer((request, response) => response.end('cjs')).listen(3000)`,
    )
    await using first = await serve(path)
    await using second = await serve(path)
    expect(await (await first.fetch('/')).text()).toBe('cjs')
    expect(await (await second.fetch('/')).text()).toBe('cjs')
    expect(first.port).not.toBe(second.port)
  })

  test.each([
    ['default', `export default { fetch: () => new Response('it') }`],
    ['app', `export const app = { fetch: () => new Response('it') }`],
    [
      'server',
      `import http from 'node:http'\nexport const server = http.createServer((q, s) => s.end('it'))`,
    ],
    ['handler', `export const handler = (request, response) => response.end('it')`],
    ['fetch', `export const fetch = () => new Response('it')`],
    [
      'a default factory',
      `export default ({ url }) => ({ fetch: () => new Response(url && 'it') })`,
    ],
    [
      'an app that also starts itself',
      `import http from 'node:http'\nexport const app = (q, s) => s.end('it')\nhttp.createServer(app).listen(3000)`,
    ],
  ])('that exports %s', async (_what, source) => {
    const path = join(await temporaryFolder(), 'server.mjs')
    await writeFile(path, source)
    await using server = await serve(path)
    expect(await (await server.fetch('/')).text()).toBe('it')
  })
})

test('a listen() that comes after the start was given up does not listen', async () => {
  let late: http.Server | undefined
  let release = (): void => {}
  const error = await failure(
    serve(
      async () => {
        await new Promise<void>((resolve) => (release = resolve))
        late = http.createServer(saying('late')).listen(3000)
      },
      { startTimeout: 20 },
    ),
  )
  expect(error.code).toBe('START_TIMEOUT')
  release()
  await new Promise((resolve) => setImmediate(resolve))
  expect(late?.listening).toBe(false)
})

test('a target that ends the process while it loads is told of, and that has failed', async () => {
  const path = join(await temporaryFolder(), 'exits.mjs')
  await writeFile(path, 'await null\nprocess.exit(0)')
  const index = import.meta.resolve('portzero')
  const script = `import { serve } from '${index}'; await serve(process.argv[1])`
  const args = ['--input-type=module', '--eval', script, path]
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect(stderr).toContain('The target called process.exit(0) while it was loaded')
  expect(status).toBe(1)
})
