#!/usr/bin/env node
// @ts-check
// Packs the packages as npm would publish them, and checks what a user would get.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const packages = ['portzero', '@portzero/vitest', '@portzero/playwright']
const folder = mkdtempSync(join(tmpdir(), 'portzero-pack-'))
try {
  const workspaces = packages.map((name) => `--workspace=${name}`).join(' ')
  run(`npm pack --silent ${workspaces} --pack-destination="${folder}"`)
  for (const tarball of readdirSync(folder)) {
    run(`publint run "${join(folder, tarball)}" --strict`)
    // `portzero/register` is loaded by an option of Node's, and has no types.
    run(
      `attw "${join(folder, tarball)}" --profile=esm-only --no-definitely-typed --no-summary --format=ascii --exclude-entrypoints register`,
    )
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** @param {string} command */
function run(command) {
  if (spawnSync(command, { shell: true, stdio: 'inherit' }).status !== 0) process.exitCode = 1
}
