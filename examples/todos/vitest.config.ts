import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/api/**/*.test.ts'],
    globalSetup: 'test/template.ts',
    maxWorkers: 2,
    // The start script sets up a database from nothing, while its first test waits.
    testTimeout: 60_000,
  },
})
