import { randomUUID } from 'node:crypto'
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { serve } from 'portzero'
import type { LiveServer } from 'portzero'
import { expect, onTestFinished, test, vi } from 'vitest'
import { answers } from '../packages/portzero/test/support.ts'
import { carriersOf } from '../packages/portzero/test/processes.ts'

const cwd = fileURLToPath(new URL('../fixtures/programs/', import.meta.url))

interface Program {
  /** With `{site}` where that stands. */
  readonly command: string
  /** A site of which each server has a copy. */
  readonly site?: string
  readonly env?: Readonly<Record<string, string>>
  /** What only this program answers. */
  readonly page?: string
  readonly says: RegExp
  /** It prints where it can be reached, and does not only repeat what it was told. */
  readonly printsUrl?: boolean
  /** A path that must answer before it is taken for started. */
  readonly ready?: string
}

const vite = { page: '/@vite/client', says: /HMRContext/, printsUrl: true }
const preview = { says: /<title>By Vite<\/title>\n<script type="module" src="\/main.js">/ }

// Each as its own documentation has it.
const programs: Program[] = [
  { command: 'vite vite', ...vite },
  { command: 'npm run dev', ...vite },
  { command: 'npm start', ...vite },
  { command: 'npx vite vite', ...vite },
  { command: 'vite vite --port {port} --strictPort', ...vite },
  { command: 'vite preview vite --outDir .', ...preview, printsUrl: true },
  {
    command: 'json-server json-server/db.json',
    page: '/todos/1',
    says: /"title": "by json-server"/,
  },
  { command: 'http-server http-server', says: /By http-server/, printsUrl: true },
  {
    command: 'astro dev --root {site}',
    // It writes what it finds out into the site: two at once in one that is new are in each other's way.
    site: 'astro',
    says: /By Astro.*<p[^>]*>42<\/p>/s,
    printsUrl: true,
    // Without a cache it takes its first request for a reason to start its server again, and drops it.
    ready: '/',
  },
  { command: 'node nest/main.js', says: /"by":"nest"/ },
  { command: 'nodemon nodemon/server.js', says: /by nodemon/ },
  { command: 'node --watch nodemon/server.js', env: { OWN_PORT: '{port}' }, says: /by nodemon/ },
  {
    command: 'concurrently "node concurrently/web.js" "node concurrently/work.js"',
    says: /by concurrently/,
  },
]

test.for(programs)('$command', async (program) => {
  const { command, site, env, page = '/', says, printsUrl, ready } = program
  const mark = randomUUID()
  const variables = { ...env, MARK: mark, NO_COLOR: '1', ASTRO_TELEMETRY_DISABLED: '1' }
  const start = async (): Promise<LiveServer> => {
    const folder = site === undefined ? '' : await neighbourOf(site)
    const line = command.replace('{site}', folder)
    return serve({ command: line, cwd, env: variables }, { grace: 5_000, ready })
  }
  const servers = await Promise.all([start(), start()])
  try {
    expect(new Set(servers.map(({ port }) => port)).size).toBe(2)
    for (const server of servers) {
      const response = await server.fetch(page)
      expect(response.status).toBe(200)
      expect(await response.text()).toMatch(says)
      await vi.waitFor(() => expect(printsUrl !== true || printed(server)).toBe(true))
    }
  } finally {
    const reports = await Promise.all(servers.map((server) => server.close()))
    expect(reports).toMatchObject(servers.map(() => ({ outcome: 'graceful', blockers: [] })))
  }
  expect(carriersOf(mark)).toEqual([])
  for (const { port } of servers) expect(await answers(port)).toBe(false)
})

/** A copy of one of the sites that finds the same packages. Its path is relative to theirs. */
async function neighbourOf(site: string): Promise<string> {
  const folder = path.join('.tmp', randomUUID())
  onTestFinished(() => rm(path.join(cwd, folder), { recursive: true, force: true }))
  await cp(path.join(cwd, site), path.join(cwd, folder), { recursive: true })
  return folder
}

/** A folder that a program may watch, with a copy of one of the sites. */
async function copyOf(site: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'portzero-program-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await cp(path.join(cwd, site), folder, { recursive: true })
  return folder
}

test('nodemon starts a program anew when it is changed, on the same port', async () => {
  const folder = await copyOf('nodemon')
  const file = path.join(folder, 'server.mjs')
  await rename(path.join(folder, 'server.js'), file)
  const command = ['nodemon', '--watch', folder, '--delay', '10ms', file]
  await using server = await serve({ command, cwd })
  const before = await (await server.fetch('/')).text()
  const restarts = (): number => server.output.filter((line) => line === 'listens').length - 1
  await vi.waitFor(
    async () => {
      // It may not have watched yet when it was changed.
      if (restarts() === 0) await writeFile(file, await readFile(file))
      expect(restarts()).toBeGreaterThan(0)
    },
    { timeout: 20_000, interval: 1_000 },
  )
  await vi.waitFor(
    async () => {
      // If it was changed twice, nodemon ends it once more, in the middle of whatever it is at.
      const after = await (await server.fetch('/')).text()
      expect(after).toMatch(/by nodemon/)
      expect(after).not.toBe(before)
    },
    { timeout: 20_000 },
  )
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
})

test('Vite starts its server anew when it is configured otherwise, on the same port', async () => {
  const folder = await copyOf('vite')
  const file = path.join(folder, 'vite.config.mjs')
  await writeFile(file, 'export default {}')
  await using server = await serve({ command: ['vite', folder], cwd })
  expect((await server.fetch('/moved/')).headers.get('by')).toBe(null)
  const config = { base: '/moved/', server: { headers: { by: 'the new one' } } }
  // At once: Vite may read a file that is not yet written.
  await writeFile(`${file}.new`, `export default ${JSON.stringify(config)}`)
  await rename(`${file}.new`, file)
  await vi.waitFor(
    async () => {
      expect((await server.fetch('/moved/')).headers.get('by')).toBe('the new one')
    },
    { timeout: 20_000 },
  )
  expect(await server.close()).toMatchObject({ outcome: 'graceful', blockers: [] })
})

/** Whether it has printed its own URL. */
function printed({ output, port }: LiveServer): boolean {
  return new RegExp(`http://(?:localhost|127\\.0\\.0\\.1):${port}\\b`).test(output.join('\n'))
}
