import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/api/**/*.test.ts'],
    maxWorkers: 2,
    // The first test of a file waits for its database, which takes seconds on a busy machine.
    testTimeout: 30_000,
  },
})
