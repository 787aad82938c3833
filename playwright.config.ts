import { defineConfig, devices } from '@playwright/test'
import { launchOptions } from './scripts/browser.js'

export default defineConfig({
  testDir: 'e2e/browser',
  testMatch: '**/*.spec.ts',
  fullyParallel: true,
  workers: 2,
  use: { ...devices['Desktop Chrome'], launchOptions: launchOptions() },
})
