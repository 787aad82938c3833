#!/usr/bin/env node
// @ts-check
// Makes one file of each program that others start: dozens of modules take Node longer to find and link than to run, and CommonJS
// is quicker to load than a module.
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const folder = new URL('../packages/portzero/', import.meta.url)

/** The file of each program in `dist`, and its entry in `src`. */
const programs = {
  'cli.cjs': 'cli/main.ts',
  'end-shared.cjs': 'background/end-shared.ts',
  'holder.cjs': 'background/holder.ts',
  'host.cjs': 'host.ts',
  'register.cjs': 'register.ts',
}

await Promise.all(Object.entries(programs).map(([file, entry]) => make(file, entry)))

/**
 * @param {string} file
 * @param {string} entry
 */
async function make(file, entry) {
  const bundle = await rolldown({
    input: fileURLToPath(new URL(`src/${entry}`, folder)),
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
    file: fileURLToPath(new URL(`dist/${file}`, folder)),
    format: 'cjs',
    sourcemap: true,
    // Comments and blanks go, which Node would read each time; names and structure stay.
    minify: { compress: false, mangle: false, codegen: true },
    codeSplitting: false,
    // An app that imports the same package shares it.
    dynamicImportInCjs: true,
  })
  await bundle.close()
}
