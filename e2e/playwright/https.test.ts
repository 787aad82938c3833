import { expect, test } from 'vitest'
import { runPlaywright } from './run.ts'

test('pages and requests trust a server that speaks TLS', async () => {
  const run = await runPlaywright('playwright-https', { files: ['https.spec.ts'], browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 5, failed: 0 })
})

test('pages are loaded over HTTP/2', async () => {
  const run = await runPlaywright('playwright-https', { files: ['http2.spec.ts'], browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
})

test('a server with a name is trusted by its own client alone', async () => {
  const run = await runPlaywright('playwright-https', { files: ['named.spec.ts'], browser: true })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
})

test('Chromium registers service workers if it is told to', async () => {
  const run = await runPlaywright('playwright-https', {
    files: ['service-worker.spec.ts'],
    browser: true,
  })

  expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0 })
})
