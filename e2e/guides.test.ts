import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runPlaywright } from './playwright/run.ts'
import { runVitest } from './vitest/run.ts'

const root = join(import.meta.dirname, '..')

test.for(['vitest', 'vitest-plugin', 'playwright', 'web-server'])(
  'the files in docs/%s.md are those of the project',
  async (name) => {
    const guide = await readFile(join(root, `docs/${name}.md`), 'utf8')
    const shown = [...guide.matchAll(/```ts\n\/\/ (\S+)\n(.+?)```/gs)]

    // None is shown that is not one of the project's.
    expect(shown).toHaveLength(guide.match(/```ts/g)!.length)
    for (const [, file = '', code] of shown) {
      const project = join(root, `fixtures/projects/${name}-guide`)
      expect(code).toBe(await readFile(join(project, file), 'utf8'))
    }
  },
)

test('the tests of the guide to Vitest pass', async () => {
  const run = await runVitest('vitest-guide')

  expect(run).toMatchObject({ exitCode: 0, passed: 5, failed: 0 })
})

test('the tests of the guide to the plugin pass', async () => {
  const run = await runVitest('vitest-plugin-guide')

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
})

test('the tests of the guide to Playwright pass in Chromium', async () => {
  const run = await runPlaywright('playwright-guide', { browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 5, failed: 0 })
})

test('the tests of the guide to webServer() pass', async () => {
  const run = await runPlaywright('web-server-guide')

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0, errors: [] })
})
