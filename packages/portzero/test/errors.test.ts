import http from 'node:http'
import net from 'node:net'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PortzeroError, serve } from 'portzero'
import type { ErrorCode, ServeOptions, Target } from 'portzero'
import { describe, expect, onTestFinished, test } from 'vitest'
import { answers, failure, holdPort } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'
import type { AddressInfo } from 'node:net'

const app = { fetch: () => new Response('ok') }

/** Starts what must not start, and checks that nothing is left listening. */
async function refused(target: unknown, options?: unknown): Promise<PortzeroError> {
  const seen = new Set<net.Server>()
  const { listen } = net.Server.prototype
  net.Server.prototype.listen = function (this: net.Server, ...args: unknown[]): net.Server {
    seen.add(this)
    return Reflect.apply(listen, this, args) as net.Server
  }
  const error = await failure(serve(target as Target, options as ServeOptions)).finally(() => {
    net.Server.prototype.listen = listen
  })
  expect([...seen].filter((server) => server.listening)).toEqual([])
  expect(error).toBeInstanceOf(PortzeroError)
  expect(error.name).toBe(`PortzeroError [${error.code}]`)
  expect(error).not.toHaveProperty('report')
  return error
}

describe('a target that is none', () => {
  test.each<[string, unknown, string]>([
    ['a number', 42, 'the number 42'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['an empty object', {}, 'an empty object'],
    ['an object of other things', { fetsch: 1 }, 'an object with fetsch'],
    ['an array', [], 'an array of 0'],
    ['an empty string', '', 'the string ""'],
    ['a bare net server', net.createServer(), 'a Server'],
    ['a promise of an app', Promise.resolve(app), 'a Promise'],
  ])('%s', async (_what, target, got) => {
    const error = await refused(target)
    expect(error.code).toBe('INVALID_TARGET')
    expect(error.message).toContain(got)
    expect(error.message).toContain('Accepted are')
  })
})

describe('a program', () => {
  test.each<[string, object, string]>([
    ['an empty command', { command: ' ' }, "must be a line such as 'npm start'"],
    ['a list of nothing', { command: [] }, "must be a line such as 'npm start'"],
    ['a list of other things', { command: ['node', 1] }, "must be a line such as 'npm start'"],
    ['no command', { command: null }, 'Got null'],
    ['a directory that is no path', { command: 'node server.js', cwd: 3 }, 'Got the number 3'],
    ['variables that are no text', { command: 'node server.js', env: { A: 1 } }, "option 'env'"],
    ['a variable with a null character', { command: 'node', env: { A: '\0' } }, "option 'env'"],
    ['a signal that does not exist', { command: 'node', stopSignal: 'SIGFOO' }, 'SIGFOO'],
    ['something misspelt', { command: 'node', cdw: 'app' }, "has no option 'cdw'"],
    ['an ASGI app that is no text', { asgi: {} }, "such as 'main:app'"],
  ])('with %s', async (_what, target, says) => {
    const error = await refused(target)
    expect(error.code).toMatch(/^(?:INVALID|UNKNOWN)_OPTION$/)
    expect(error.message).toContain(says)
  })
})

describe('a factory', () => {
  test('that throws, or rejects, keeps the cause', async () => {
    const cause = new Error('no database')
    const throwing = await refused(() => {
      throw cause
    })
    const rejecting = await refused(async () => Promise.reject(cause))
    for (const error of [throwing, rejecting]) {
      expect(error.code).toBe('FACTORY_FAILED')
      expect(error.message).toContain('no database')
      expect(error.cause).toBe(cause)
    }
  })

  test.each<[string, unknown, string]>([
    ['a string', 'no database', 'no database'],
    ['nothing', undefined, 'undefined'],
    ['a plain object', { status: 500 }, '{ status: 500 }'],
    ['an object of no class', Object.create(null), 'null prototype'],
    [
      'several errors and no message',
      new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')]),
      'connect ::1; connect 127.0.0.1',
    ],
    ['an error without a message', new TypeError(), 'TypeError'],
    [
      'an error whose message throws',
      Object.defineProperty(new Error('unseen'), 'message', {
        get: () => {
          throw new Error('no message')
        },
      }),
      'cannot be put into words',
    ],
  ])('that throws %s has that told', async (_what, cause, says) => {
    const error = await refused(async () => {
      throw cause
    })
    expect(error.code).toBe('FACTORY_FAILED')
    expect(error.message).toContain(says)
    expect(error.cause).toBe(cause)
  })

  test('that throws after it listened leaves nothing listening', async () => {
    const error = await refused(async () => {
      const own = http.createServer().listen(3000)
      const helper = http.createServer().listen(0)
      await Promise.all(
        [own, helper].map((s) => new Promise((resolve) => s.once('listening', resolve))),
      )
      throw new Error('too late')
    })
    expect(error.code).toBe('FACTORY_FAILED')
  })

  test('that throws has its close hooks run, and a hook that throws is told as well', async () => {
    const ran: string[] = []
    const error = await refused(({ onClose }: { onClose(hook: () => unknown): void }) => {
      onClose(() => ran.push('closed'))
      onClose(() => {
        throw new Error('hook')
      })
      throw new Error('factory')
    })
    expect(ran).toEqual(['closed'])
    expect(error.message).toMatch(/factory.*hook/)
  })

  test.each<[string, unknown, ErrorCode, string]>([
    ['a number', 5, 'INVALID_TARGET', 'the number 5'],
    ['a string', 'http://x', 'INVALID_TARGET', 'the string "http://x"'],
    ['a handler', (_request: Request) => new Response(), 'INVALID_TARGET', '{ fetch: handler }'],
    ['a Response', new Response(), 'RESPONSE_FROM_FACTORY', '{ fetch: handler }'],
  ])('that returns %s', async (_what, result, code, told) => {
    for (const factory of [() => result, async () => result]) {
      const error = await refused(factory)
      expect(error.code).toBe(code)
      expect(error.message).toContain(told)
    }
  })

  test('that is a bare (request) => Response which looks at the request is told to wrap it', async () => {
    const error = await refused((request: Request) => new Response(request.headers.get('x')))
    expect(error.code).toBe('FACTORY_FAILED')
    expect(error.message).toContain('{ fetch: handler }')
  })

  test.each([
    ['nothing', undefined, 'undefined'],
    ['an object', { stop() {} }, 'an object with stop'],
  ])('that gives %s and does not listen', async (_what, result, told) => {
    const error = await refused(() => result, { startTimeout: 30 })
    expect(error.code).toBe('NOTHING_LISTENED')
    expect(error.message).toContain(told)
    expect(error.message).toContain('30 ms')
  })

  test('that takes too long', async () => {
    let aborted = false
    const error = await refused(
      ({ signal }: { signal: AbortSignal }) => {
        signal.addEventListener('abort', () => (aborted = true))
        return new Promise(() => {})
      },
      { startTimeout: 30 },
    )
    expect(error.code).toBe('START_TIMEOUT')
    expect(error.message).toContain('30 ms')
    expect(aborted).toBe(true)
  })
})

describe('a module', () => {
  test('that does not exist', async () => {
    const error = await refused('./no/such/module.js')
    expect(error.code).toBe('MODULE_FAILED')
    expect(error.message).toMatch(/no module at .*no.such.module\.js/)
  })

  test('that imports what does not exist', async () => {
    const path = join(await temporaryFolder(), 'server.mjs')
    await writeFile(path, `import './missing.mjs'`)
    const error = await refused(path)
    expect(error.code).toBe('MODULE_FAILED')
    expect(error.message).toContain('missing.mjs')
  })

  test('that throws', async () => {
    const path = join(await temporaryFolder(), 'server.mjs')
    await writeFile(path, `throw new Error('at the top')`)
    const error = await refused(path)
    expect(error.code).toBe('MODULE_FAILED')
    expect(error.message).toContain('at the top')
    expect(error.cause).toMatchObject({ message: 'at the top' })
  })

  test('that exports nothing of use', async () => {
    const path = join(await temporaryFolder(), 'server.mjs')
    await writeFile(path, `export const createApp = () => {}`)
    const error = await refused(path, { startTimeout: 30 })
    expect(error.code).toBe('NOTHING_LISTENED')
    expect(error.message).toContain('a module that exports createApp')
  })
})

test('an app that is not done with listen() in time is not said to be missing', async () => {
  const slow = { listen: () => new Promise(() => {}) }
  const error = await refused(() => slow, { startTimeout: 30 })
  expect(error.code).toBe('START_TIMEOUT')
})

test('an app that fails while it starts', async () => {
  const cause = new Error('plugin')
  const error = await refused({ listen: () => Promise.reject(cause) })
  expect(error.code).toBe('FACTORY_FAILED')
  expect(error.cause).toBe(cause)
})

describe('an address', () => {
  test('with a port that is in use', async () => {
    const holder = await holdPort(0)
    onTestFinished(() => void holder.close())
    const { port } = holder.address() as AddressInfo
    const error = await refused(app, { port })
    expect(error.code).toBe('PORT_IN_USE')
    expect(error.message).toContain(String(port))
    expect(error.cause).toMatchObject({ code: 'EADDRINUSE' })
    expect(await answers(port)).toBe(true)
  })

  test.each([
    ['of another machine', '192.0.2.1'],
    ['that does not exist', 'no.such.host.invalid'],
  ])('%s', async (_what, host) => {
    const error = await refused(app, { host })
    expect(error.code).toBe('LISTEN_FAILED')
    expect(error.message).toContain(host)
  })
})

describe('an option', () => {
  test.each<[string, unknown]>([
    ['port', -1],
    ['port', 65_536],
    ['port', 1.5],
    ['port', '3000'],
    ['host', ''],
    ['host', 1],
    ['https', 'yes'],
    ['https', { key: '', cert: '' }],
    ['http2', 1],
    ['startTimeout', '1s'],
    ['startTimeout', Number.NaN],
    ['startTimeout', Number.POSITIVE_INFINITY],
    ['grace', -1],
    ['grace', null],
    ['ready', 'health'],
    ['ready', true],
    ['isolation', 'container'],
    ['env', { PORT: 3000 }],
    ['slot', -1],
    ['workerId', 1],
  ])('%s that is %o', async (name, value) => {
    const error = await refused(app, { [name]: value })
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain(`'${name}'`)
    expect(error.message).toMatch(/must be .*Got /)
  })

  test('of an unknown name', async () => {
    const error = await refused(app, { prot: 1 })
    expect(error.code).toBe('UNKNOWN_OPTION')
    expect(error.message).toMatch(/'prot'.*port/)
  })

  test.each([null, [], 'options'])('list that is %o', async (options) => {
    expect((await refused(app, options)).code).toBe('INVALID_OPTION')
  })

  test('that is undefined counts as left out', async () => {
    await using server = await serve(app, { port: undefined, host: undefined, grace: undefined })
    expect(server.host).toBe('127.0.0.1')
  })

  test('of close() is checked, and the server stays open', async () => {
    await using server = await serve(app)
    const wrong = { grace: 'long' } as unknown as { grace: number }
    const error = await failure((async () => server.close(wrong))())
    expect(error.code).toBe('INVALID_OPTION')
    expect((await server.fetch('/')).status).toBe(200)
  })
})

describe('ready', () => {
  test('asks a path until it answers below 400', async () => {
    let asked = 0
    await using server = await serve(
      { fetch: () => new Response(null, { status: (asked += 1) < 3 ? 503 : 204 }) },
      { ready: '/health' },
    )
    expect(asked).toBe(3)
    expect(server.port).toBeGreaterThan(0)
  })

  test('gives up on a path that never does', async () => {
    const sick = { fetch: () => new Response(null, { status: 503 }) }
    const error = await refused(sick, { ready: '/health', startTimeout: 60 })
    expect(error.code).toBe('NOT_READY')
    expect(error.message).toMatch(/\/health.*503/)
  })

  test('awaits a function, once', async () => {
    const urls: string[] = []
    await using server = await serve(app, {
      ready: async ({ url, fetch }) => {
        urls.push(url)
        expect((await fetch('/')).status).toBe(200)
      },
    })
    expect(urls).toEqual([server.url])
  })

  test('takes no longer than startTimeout, also where the process stands still at its beginning', async () => {
    const startedAt = performance.now()
    const error = await refused(app, {
      ready: async () => {
        await Promise.resolve()
        while (performance.now() - startedAt < 1_000);
        await new Promise(() => {})
      },
      startTimeout: 1_200,
    })
    expect(error.code).toBe('NOT_READY')
    // Nor another 1,200 ms from then on.
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })

  test('fails with a function that throws', async () => {
    const cause = new Error('not migrated')
    const error = await refused(app, {
      ready: () => {
        throw cause
      },
    })
    expect(error.code).toBe('NOT_READY')
    expect(error.cause).toBe(cause)
  })
})
