#!/usr/bin/env node
// @ts-check
// Makes one file of the program that threads and processes load before the app: two dozen modules take Node longer to find and link
// than to run, and CommonJS is quicker to load than a module.
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const folder = new URL('../packages/portzero/', import.meta.url)

const bundle = await rolldown({
  input: fileURLToPath(new URL('src/host.ts', folder)),
  platform: 'node',
  // Packages, and what is seldom needed: that is loaded from the file that lies beside.
  external: /^[^./]/,
  plugins: [
    {
      name: 'beside',
      resolveId: (id) =>
        id.endsWith('/certificate.ts') ? { id: './certificate.js', external: true } : undefined,
    },
  ],
  onLog: (_level, log) => {
    throw new Error(log.message)
  },
})
await bundle.write({
  file: fileURLToPath(new URL('dist/host.cjs', folder)),
  format: 'cjs',
  sourcemap: true,
  codeSplitting: false,
  // An app that imports the same package shares it.
  dynamicImportInCjs: true,
})
await bundle.close()
