#!/usr/bin/env node
// @ts-check
// Puts the dozens of modules of `portzero` into a few files: Node takes longer to find and link that many than to run them. `tsc` has
// checked them before, and made their types.
import { readdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'

const folder = new URL('../packages/portzero/', import.meta.url)
const dist = fileURLToPath(new URL('dist/', folder))

/** What is imported by its name, and what programs seldom need. What several share, and what is loaded later, has files of its own. */
const library = {
  index: 'index',
  shared: 'shared',
  apart: 'apart',
  certificate: 'certificate/certificate',
}

/** Programs that others start, each in one file of CommonJS, which is quicker to load than a module. */
const programs = {
  'cli.cjs': 'cli/main',
  'end-shared.cjs': 'background/end-shared',
  'holder.cjs': 'background/holder',
  'host.cjs': 'child/host',
  'register.cjs': 'child/register',
}

/** Has a program load from the library what it seldom needs. */
const seldom = {
  name: 'seldom',
  /** @param {string} id */
  resolveId: (id) =>
    id.endsWith('/certificate.ts') ? { id: './certificate.mjs', external: true } : undefined,
}

for (const name of readdirSync(dist)) {
  if (/\.[cm]js(\.map)?$/.test(name)) rmSync(dist + name)
}
await Promise.all([
  makeLibrary(),
  ...Object.entries(programs).map(([file, entry]) => makeProgram(file, entry)),
])

async function makeLibrary() {
  const entries = Object.entries(library).map(([name, entry]) => [name, sourceOf(entry)])
  const bundle = await bundleOf(Object.fromEntries(entries))
  await bundle.write({
    dir: dist,
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name]-[hash].mjs',
    format: 'es',
    sourcemap: true,
  })
  await bundle.close()
}

/**
 * @param {string} file
 * @param {string} entry
 */
async function makeProgram(file, entry) {
  const bundle = await bundleOf(sourceOf(entry), [seldom])
  await bundle.write({
    file: dist + file,
    format: 'cjs',
    // Half the text is half the time that Node takes to read it, each time. Classes keep their names, which errors show.
    minify: {
      compress: true,
      mangle: { keepNames: { function: false, class: true } },
      codegen: true,
    },
    codeSplitting: false,
    // An app that imports the same package shares it.
    dynamicImportInCjs: true,
  })
  await bundle.close()
}

/**
 * @param {string | Record<string, string>} input
 * @param {import('rolldown').Plugin[]} [plugins]
 */
function bundleOf(input, plugins = []) {
  return rolldown({
    input,
    platform: 'node',
    // Packages.
    external: /^[^./]/,
    plugins,
    onLog: (_level, log) => {
      throw new Error(log.message)
    },
  })
}

/** @param {string} name */
function sourceOf(name) {
  return fileURLToPath(new URL(`src/${name}.ts`, folder))
}
