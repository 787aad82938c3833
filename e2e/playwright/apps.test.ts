import nodeModule from 'node:module'
import { expect, test } from 'vitest'
import { holdPort } from '../hold-port.ts'
import { openMeeting } from '../meeting.ts'
import { runPlaywright } from './run.ts'

test('pages and requests take paths', async () => {
  const run = await runPlaywright('playwright-pages', { files: ['pages.spec.ts'], browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 3, failed: 0 })
})

test('a TypeScript app is loaded by URL and by path', async () => {
  const run = await runPlaywright('playwright-pages', { files: ['module.spec.ts'], browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
})

test('an app that listens on a taken port by itself runs in two workers', async () => {
  await using _held = await holdPort(3000)
  await using meeting = await openMeeting(2)

  const run = await runPlaywright('playwright-self-start', { env: { MEETING_URL: meeting.url } })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(new Set(run.tests.map(({ notes }) => notes['url'])).size).toBe(2)
})

test('servers stand side by side, and one may know the URL of another', async () => {
  const run = await runPlaywright('playwright-named')

  expect(run).toMatchObject({ exitCode: 0, passed: 3, failed: 0 })
})

test('a CommonJS project hands over its app, or requires it', async () => {
  const run = await runPlaywright('playwright-commonjs', {
    type: 'commonjs',
    files: ['handed-over.spec.ts', 'required.spec.cjs'],
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
  expect(run.output).not.toContain('Warning')
})

test('a CommonJS project imports its TypeScript app, or is told what to do', async () => {
  const canImport = 'registerHooks' in nodeModule

  const run = await runPlaywright('playwright-commonjs', {
    type: 'commonjs',
    files: ['imported.spec.ts'],
  })

  expect({
    exitCode: run.exitCode,
    advised: run.output.includes("hand over the app itself, or () => require('…')"),
  }).toEqual({ exitCode: canImport ? 0 : 1, advised: !canImport })
})
