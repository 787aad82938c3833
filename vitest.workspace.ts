import type { TestProjectInlineConfiguration } from 'vitest/config'

// Vitest 4 and later ignore a file of this name; vitest.config.ts reads it.
const projects: TestProjectInlineConfiguration[] = [
  ...['portzero', 'vitest', 'playwright'].map((name) => ({
    test: {
      name,
      root: `packages/${name}`,
      include: ['test/**/*.test.ts'],
      // Loaded by Node, as for users: outside of node_modules Vite would take them for sources.
      server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
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
      // After the others, which measure time.
      sequence: { groupOrder: 1 },
    },
  },
]

export default projects
