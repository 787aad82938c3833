import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runPlaywright } from './run.ts'

const root = join(import.meta.dirname, '../..')

test("the README's tests are those of the project", async () => {
  const readme = await readFile(join(root, 'packages/playwright/README.md'), 'utf8')
  const shown = [...readme.matchAll(/```ts\n\/\/ (test\/\S+)\n(.+?)```/gs)]
  const files = shown.map(([, file = '']) => file)

  expect(files).toEqual(['test/todos.spec.ts', 'test/site.spec.ts'])
  for (const [, file = '', code] of shown) {
    expect(code).toBe(
      await readFile(join(root, 'fixtures/projects/playwright-readme', file), 'utf8'),
    )
  }
})

test('they pass', async () => {
  const run = await runPlaywright('playwright-readme', { browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
})
