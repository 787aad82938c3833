import { expect, test } from 'vitest'
import { runPlaywright } from './run.ts'

test('a factory that throws fails the test, with code and cause', async () => {
  const run = await runPlaywright('playwright-starts', { files: ['throws.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1, errors: [] })
  expect(run.output).toContain('PortzeroError [FACTORY_FAILED]: The factory failed: no database')
  expect(run.output).toContain('[cause]: Error: no database')
  expect(run.output).toContain('[cause]: Error: connect ECONNREFUSED 127.0.0.1:5432')
})

test('a start may take longer than a test', async () => {
  const run = await runPlaywright('playwright-starts', { files: ['slow.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
})

test('a start that takes longer than startTimeout fails with our own error', async () => {
  const run = await runPlaywright('playwright-starts', { files: ['endless.spec.ts'] })

  expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1, errors: [] })
  expect(run.tests[0]!.errors).toEqual([
    expect.stringMatching(/^PortzeroError \[START_TIMEOUT\]: .* within 1200 ms/),
  ])
})
