import { cp, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { serve } from 'portzero'
import type { LiveServer, ServeOptions } from 'portzero'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { failure } from './support.ts'
import { temporaryFolder } from './temporary-folder.ts'

const apps = new URL('../../../fixtures/apps/typescript/', import.meta.url)
const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript)

interface CoverageReport {
  readonly result: readonly { readonly url: string }[]
}

describe.each(['thread', 'process'] as const)('in a %s', (isolation) => {
  async function start(module: URL, options: ServeOptions = {}): Promise<LiveServer> {
    const server = await serve(module, { isolation, ...options })
    onTestFinished(() => void server.close())
    return server
  }

  /** Copies an app to where tsx is not installed, nor in the working directory. */
  async function withoutTsx(name: string): Promise<URL> {
    const folder = await temporaryFolder()
    await cp(new URL(name, apps), folder, { recursive: true })
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const before = process.cwd()
    process.chdir(folder)
    onTestFinished(() => process.chdir(before))
    return pathToFileURL(join(folder, 'app.ts'))
  }

  test.each([
    ['types', 'plain/app.ts'],
    ['an enum, and decorators of parameters', 'decorators/app.ts'],
    ['paths of tsconfig.json', 'aliases/src/app.ts'],
    ['a CommonJS project', 'commonjs/app.ts'],
  ])('TypeScript with %s is loaded', async (_what, path) => {
    const server = await start(new URL(path, apps))

    const response = await server.fetch('/?name=reader')

    expect(await response.json()).toEqual({ text: 'hello reader' })
    expect(await server.close()).toMatchObject({ outcome: 'graceful' })
  })

  test('is built anew', async () => {
    const server = await start(new URL('aliases/src/app.ts', apps))

    await server.restart({ app: 'rebuild' })

    expect(await (await server.fetch('/')).json()).toEqual({ text: 'hello world' })
  })

  test('without tsx, types are stripped by Node, or the error says what to install', async () => {
    const module = await withoutTsx('plain')
    const outcome = await start(module).then(
      async (server) => (await server.fetch('/')).text(),
      (error: unknown) => String(error),
    )
    expect(outcome).toContain(
      stripsTypes
        ? '{"text":"hello world"}'
        : 'Install tsx beside it (npm install --save-dev tsx), or use Node 22.18 or later',
    )
  })

  test('without tsx, more than types fails, and the error says what to install', async () => {
    const module = await withoutTsx('aliases')
    const { code, message } = await failure(start(new URL('src/app.ts', module)))

    expect(code).toBe('MODULE_FAILED')
    expect(message).toMatch(/install tsx beside /i)
    expect(message).toContain(stripsTypes ? "Cannot find package '@words/greet'" : 'cannot load')
  })

  test('a module that is missing is called so', async () => {
    const { code, message } = await failure(start(new URL('missing.ts', apps)))

    expect(code).toBe('MODULE_FAILED')
    expect(message).toContain('There is no module at')
    expect(message).not.toContain('tsx')
  })

  test('an error in the source is shown with its place', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'app.ts'), 'const a: = 1\n')

    const { code, message } = await failure(start(pathToFileURL(join(folder, 'app.ts'))))

    expect(code).toBe('MODULE_FAILED')
    expect(message).toContain('app.ts:1:9')
  })

  test('an error of the app itself is not taken for one of its language', async () => {
    const folder = await temporaryFolder()
    const marker = join(folder, 'loaded')
    const source = `import { appendFileSync } from 'node:fs'
appendFileSync(${JSON.stringify(marker)}, 'once')
export default JSON.parse('{') as object
`
    await writeFile(join(folder, 'app.mts'), source)

    const { code, message } = await failure(start(pathToFileURL(join(folder, 'app.mts'))))

    expect(code).toBe('MODULE_FAILED')
    expect(message).not.toContain('tsx')
    expect(await readFile(marker, 'utf8')).toBe('once')
  })

  test('the coverage of V8 is written when it is closed, under the URL of the module', async () => {
    const folder = await temporaryFolder()
    vi.stubEnv('NODE_V8_COVERAGE', folder)
    onTestFinished(() => void vi.unstubAllEnvs())
    const server = await start(new URL('plain/app.ts', apps))
    await (await server.fetch('/')).text()

    expect(await server.close()).toMatchObject({ outcome: 'graceful' })

    const urls = await coveredIn(folder)
    expect(urls).toContain(new URL('plain/app.ts', apps).href)
    expect(urls).toContain(new URL('plain/greet.ts', apps).href)
  })
})

async function coveredIn(folder: string): Promise<string[]> {
  const files = await readdir(folder)
  const texts = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')))
  return texts.flatMap((text) => (JSON.parse(text) as CoverageReport).result.map(({ url }) => url))
}
