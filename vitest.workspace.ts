import type { TestProjectInlineConfiguration } from 'vitest/config'

// Loaded by Node, as for users: outside of node_modules Vite would take them for sources.
const server = { deps: { external: [/\/packages\/[^/]+\/dist\//] } }

// In files of this name closing has to keep to its times, on a machine that does nothing else.
const timed = 'test/hostile*.test.ts'

// Vitest 4 and later ignore a file of this name; vitest.config.ts reads it.
const projects: TestProjectInlineConfiguration[] = [
  {
    test: {
      name: 'closing',
      root: 'packages/portzero',
      include: [timed],
      server,
      maxWorkers: 1,
      sequence: { groupOrder: 0 },
    },
  },
  ...['portzero', 'vitest', 'playwright'].map((name) => ({
    test: {
      name,
      root: `packages/${name}`,
      include: ['test/**/*.test.ts'],
      exclude: [timed],
      server,
      // Many start processes, which start others. No test measures by this: it ends one that hangs.
      testTimeout: 30_000,
      hookTimeout: 30_000,
      sequence: { groupOrder: 1 },
    },
  })),
  {
    test: {
      name: 'e2e',
      root: 'e2e',
      include: ['**/*.test.ts'],
      // Each test runs a whole runner, with workers of its own.
      testTimeout: 120_000,
      hookTimeout: 120_000,
      maxWorkers: 2,
      sequence: { groupOrder: 2 },
    },
  },
]

export default projects
