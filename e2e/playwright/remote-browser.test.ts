import { chromium } from '@playwright/test'
import { expect, test } from 'vitest'
import { launchOptions } from '../../scripts/browser.js'
import { runPlaywright } from './run.ts'

test('a remote browser reaches the server of a worker', async () => {
  const browser = await chromium.launchServer({ ...launchOptions(), host: '127.0.0.1' })
  try {
    const run = await runPlaywright('playwright-remote', {
      env: { BROWSER_ENDPOINT: browser.wsEndpoint() },
    })

    expect(run).toMatchObject({ exitCode: 0, passed: 1, failed: 0, errors: [] })
  } finally {
    await browser.close()
  }
})
