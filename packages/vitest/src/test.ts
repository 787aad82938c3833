import type { LiveServer } from 'portzero'
import { inject, test as base } from 'vitest'
import type { TestAPI } from 'vitest'
// Pages load this file too, and have nothing of Node's: what needs that is imported when it is used.
import type { Address } from 'portzero/shared'

/**
 * What a test has of the server that `portzero()` or a `globalServer()` has started in Vitest's main process. It cannot close or restart it
 * from there. In a page `url`, `host` and `port` are those that the page may ask.
 */
export type RunServer = Pick<LiveServer, 'url' | 'host' | 'port' | 'ca' | 'fetch'>

type Use<Value> = (value: Value) => Promise<void>

/**
 * Vitest's `test`, with the fixtures `server` and `baseURL` for the server of the plugin `portzero()`, or of a `globalServer()`, that has no other
 * name. Extend it as you would that one; what builds on `server` has the scope `'file'`, or none.
 *
 * ```ts
 * test('lists', async ({ server }) => {
 *   expect((await server.fetch('/todos')).status).toBe(200)
 * })
 * ```
 *
 * A test that asks for them where no such server was started fails with `NOT_RUNNING`.
 */
export const test: TestAPI<{ server: RunServer; baseURL: string }> = base.extend<{
  server: RunServer
  baseURL: string
}>({
  server: [useServer, { scope: 'file' }],
  baseURL: [async ({}, use: Use<string>) => use(injected('baseURL')), { scope: 'file' }],
})

async function useServer({}: object, use: Use<RunServer>): Promise<void> {
  const url = injected('baseURL')
  if (!isNode()) return use(fromPage(url))
  const { DistantServer } = await import('portzero/shared')
  const server = new DistantServer(JSON.parse(injected('serverAddress' as 'baseURL')) as Address)
  try {
    await use(server)
  } finally {
    await server.close()
  }
}

/** The browser does all that a client is to do, but for paths. */
function fromPage(url: string): RunServer {
  const { hostname: host, port } = new URL(url)
  return {
    url,
    host,
    port: Number(port),
    ca: inject('serverCA'),
    fetch: (path, init) => {
      if (path instanceof Request) return fetch(path, init)
      const isPath = typeof path === 'string' && path.startsWith('/')
      return fetch(isPath ? url + path : new URL(path, url), init)
    },
  }
}

/** True outside of pages; also where the globals are those of one. */
function isNode(): boolean {
  const { process } = globalThis as { process?: { versions?: { node?: string } } }
  return process?.versions?.node !== undefined
}

function injected(key: 'baseURL'): string {
  const value = inject(key) as string | undefined
  if (value !== undefined) return value
  const message =
    "No server of the name 'server' runs for all tests. Say plugins: [portzero('./src/server.ts')] in vitest.config.ts, " +
    'or export globalServer() from a globalSetup file.'
  throw Object.assign(new Error(message), {
    name: 'PortzeroError [NOT_RUNNING]',
    code: 'NOT_RUNNING',
  })
}
