import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFailed, onTestFinished, test } from 'vitest'
import { carriersOf, within } from './orphans/processes.ts'
import { copyProject, runNode } from './run-project.ts'

const root = join(import.meta.dirname, '..')
const JEST = 'node_modules/jest/bin/jest.js'
const VM_MODULES = { NODE_OPTIONS: '--experimental-vm-modules' }

/** Runs Node in a copy of a project, and looks whether all that it has started is gone. */
async function run(
  project: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ exitCode: number | null; output: string; isNothingLeft: boolean }> {
  const { folder, remove } = await copyProject(project)
  onTestFinished(remove)
  const mark = randomUUID()
  const { exitCode, output } = await runNode(args, folder, { ...env, TEST_MARK: mark })
  onTestFailed(() => console.error(output))
  const isNothingLeft = await within(3_000, () => carriersOf([mark]).length === 0)
  return { exitCode, output, isNothingLeft }
}

test('node:test has a server for a file', async () => {
  const { output, ...end } = await run('node-test', ['--test'])
  expect(end).toEqual({ exitCode: 0, isNothingLeft: true })
  expect(output).toMatch(/pass 1\b/)
})

test.each([{}, { EXIT: '1' }])('node:test leaves no program after a failure (%j)', async (env) => {
  const { output, ...end } = await run('node-test', ['--test', 'fails.mjs'], env)
  expect(end).toEqual({ exitCode: 1, isNothingLeft: true })
  expect(output).toMatch(/fail 1\b/)
})

test('Jest has a server for a file', async () => {
  const { output, ...end } = await run('jest', [JEST], VM_MODULES)
  expect(end).toEqual({ exitCode: 0, isNothingLeft: true })
  expect(output).toMatch(/Tests: +1 passed, 1 total/)
})

test('Jest leaves no program after a failure', async () => {
  const args = [JEST, '--testMatch', '**/fails.mjs']
  const { output, ...end } = await run('jest', args, VM_MODULES)
  expect(end).toEqual({ exitCode: 1, isNothingLeft: true })
  expect(output).toMatch(/Tests: +1 failed, 1 total/)
})

test('Jest with CommonJS has the server of portzero run', async () => {
  const portzero = 'node_modules/portzero/dist/cli/main.js'
  const args = [portzero, 'run', './server.mjs', '--', process.execPath, JEST]
  const { output, ...end } = await run('jest-commonjs', args)
  expect(end).toEqual({ exitCode: 0, isNothingLeft: true })
  expect(output).toMatch(/Tests: +1 passed, 1 total/)
})

test('the files in docs/other-runners.md are those of the projects', async () => {
  const guide = await readFile(join(root, 'docs/other-runners.md'), 'utf8')
  const shown = [...guide.matchAll(/```js\n\/\/ (\S+)\n(.+?)```/gs)]
  expect(shown).toHaveLength(4)
  for (const [, file = '', code] of shown) {
    expect(code).toBe(await readFile(join(root, 'fixtures/projects', file), 'utf8'))
  }
})
