import { defineConfig, devices } from '@playwright/test'
import { launchOptions } from '../../scripts/browser.js'

// No `baseURL` and no `webServer`: every worker brings its own.
export default defineConfig({
  testDir: 'test/pages',
  globalSetup: './test/template.ts',
  fullyParallel: true,
  workers: 2,
  use: {
    ...devices['Desktop Chrome'],
    // Uses the Chromium of the system where there is one. Without this line, Playwright uses its own.
    launchOptions: launchOptions(),
  },
})
