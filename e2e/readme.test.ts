import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runPlaywright } from './playwright/run.ts'
import { runVitest } from './vitest/run.ts'

const root = join(import.meta.dirname, '..')

test("the README's files are those of the project", async () => {
  const readme = await readFile(join(root, 'README.md'), 'utf8')
  const shown = [...readme.matchAll(/```ts\n\/\/ (\S+)\n(.+?)```/gs)]
  const files = shown.map(([, file = '']) => file)

  expect(files).toEqual(['src/server.ts', 'test/todos.test.ts', 'test/todos.spec.ts'])
  for (const [, file = '', code] of shown) {
    expect(code).toBe(await readFile(join(root, 'fixtures/projects/readme', file), 'utf8'))
  }
})

test('its Vitest test passes', async () => {
  expect(await runVitest('readme')).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
})

test('its Playwright test passes in Chromium', async () => {
  const run = await runPlaywright('readme', { browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
})
