import { test as base, expectTypeOf, inject } from 'vitest'
import { globalServer, liveServer, portzero } from '@portzero/vitest'
import type { LiveServer, PortzeroPlugin } from '@portzero/vitest'
import { test as testOfRun } from '@portzero/vitest/test'
import type { RunServer } from '@portzero/vitest/test'

const app = { fetch: (): Response => new Response() }

// The fixtures are typed with no annotation.
const test = base.extend(liveServer(app))
test('server and baseURL', ({ server, baseURL, task }) => {
  expectTypeOf(server).toEqualTypeOf<LiveServer>()
  expectTypeOf(baseURL).toEqualTypeOf<string>()
  expectTypeOf(task.name).toEqualTypeOf<string>()
})
test.beforeEach(({ server }) => {
  expectTypeOf(server).toEqualTypeOf<LiveServer>()
})
// @ts-expect-error -- a name that was not given
test('another name', ({ api }) => String(api))

// A name makes the fixtures.
const api = liveServer(app, { name: 'api' })
base.extend(api)('api and apiURL', ({ api: handle, apiURL }) => {
  expectTypeOf(handle).toEqualTypeOf<LiveServer>()
  expectTypeOf(apiURL).toEqualTypeOf<string>()
})
// @ts-expect-error -- the name replaces the default
base.extend(api)('no server', ({ server }) => String(server))

// Options that give no name leave the default.
base.extend(liveServer(app, { grace: 10 }))('options', ({ server, baseURL }) => {
  expectTypeOf(server).toEqualTypeOf<LiveServer>()
  expectTypeOf(baseURL).toEqualTypeOf<string>()
})

// Several side by side; a factory uses the others.
const pages = liveServer(async ({ url, slot, workerId, use }) => {
  expectTypeOf(url).toEqualTypeOf<string>()
  expectTypeOf(slot).toEqualTypeOf<number>()
  expectTypeOf(workerId).toEqualTypeOf<string>()
  expectTypeOf(await use(api)).toEqualTypeOf<LiveServer>()
  return app
})
const both = base.extend(api).extend(pages)
both('all of them', ({ api: handle, apiURL, server, baseURL }) => {
  expectTypeOf({ handle, server }).toEqualTypeOf<{ handle: LiveServer; server: LiveServer }>()
  expectTypeOf({ apiURL, baseURL }).toEqualTypeOf<{ apiURL: string; baseURL: string }>()
})

// Other fixtures stand beside them, and may build on them.
const mixed = base
  .extend<{ todo: number }>({ todo: 1 })
  .extend(liveServer(app))
  .extend<{ client: string }>({ client: async ({ server, todo }, use) => use(server.url + todo) })
mixed('fixtures of all', ({ todo, client, server }) => {
  expectTypeOf({ todo, client, server }).toEqualTypeOf<{
    todo: number
    client: string
    server: LiveServer
  }>()
})
base.extend({ ...liveServer(app), todo: 1 })('in one object', ({ todo, server }) => {
  expectTypeOf({ todo, server }).toEqualTypeOf<{ todo: number; server: LiveServer }>()
})

// @ts-expect-error -- no target
liveServer(42)
// @ts-expect-error -- a factory that returns a Response
liveServer(() => new Response())
// @ts-expect-error -- no option of that name
liveServer(app, { prot: 1 })
// @ts-expect-error -- of the wrong type
liveServer(app, { grace: '1s' })
// @ts-expect-error -- Vitest tells the slot
liveServer(app, { slot: 1 })
// @ts-expect-error -- no target
globalServer(42)
// @ts-expect-error -- no option of that name
globalServer(app, { prot: 1 })
// @ts-expect-error -- it knows of no tests
globalServer(app, { lingering: 'fail' })
// @ts-expect-error -- it knows of no tests
portzero(app, { restart: 'between-tests' })

// The plugin needs no server.
expectTypeOf(portzero()).toEqualTypeOf<PortzeroPlugin>()
expectTypeOf(portzero('./app.ts', { grace: 10 })).toEqualTypeOf<PortzeroPlugin>()
// @ts-expect-error -- no target
portzero(42)
// @ts-expect-error -- no option of that name
portzero(app, { prot: 1 })

// The URL of a global server is typed where the package is known.
expectTypeOf(inject('baseURL')).toEqualTypeOf<string>()
// @ts-expect-error -- a key that nobody declared
inject('otherURL')

// So are the fixtures for it, which tests may extend.
testOfRun('server and baseURL', ({ server, baseURL, task }) => {
  expectTypeOf(server).toEqualTypeOf<RunServer>()
  expectTypeOf(server.fetch).toEqualTypeOf<LiveServer['fetch']>()
  expectTypeOf(baseURL).toEqualTypeOf<string>()
  expectTypeOf(task.name).toEqualTypeOf<string>()
})
testOfRun.extend<{ client: string }>({ client: async ({ server }, use) => use(server.url) })(
  'fixtures of all',
  ({ client, baseURL }) => {
    expectTypeOf({ client, baseURL }).toEqualTypeOf<{ client: string; baseURL: string }>()
  },
)
// @ts-expect-error -- it lives in another process
testOfRun('no close()', ({ server }) => server.close())
