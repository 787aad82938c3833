#!/usr/bin/env node
// @ts-check
// What `npm test` runs: the checks, then the tests of every runner. The last line counts them all.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** @typedef {{ passed: number, failed: number, skipped: string[] }} Tally */

const root = join(import.meta.dirname, '..')
const temporary = mkdtempSync(join(tmpdir(), 'portzero-test-'))

const checks = ['format:check', 'lint', 'typecheck', 'knip', 'check:packages', 'browser', 'asgi']
const tally = join(root, 'scripts/tally')
const vitest = `vitest run --allowOnly=false --reporter=default --reporter="${tally}/vitest.js"`
const playwright = `playwright test --forbid-only --reporter="list,${tally}/playwright.js"`
const suites = [
  { name: 'vitest', command: vitest, folder: '.' },
  { name: 'playwright', command: playwright, folder: '.' },
  { name: 'examples/todos, vitest', command: vitest, folder: 'examples/todos' },
  { name: 'examples/todos, playwright', command: playwright, folder: 'examples/todos' },
]

let passed = 0
let failed = 0
/** @type {string[]} */
const failures = []
/** @type {string[]} */
const skipped = []
/** Groups of tests that could not be run, each with the reason, which its tests give when they are skipped. */
const notRun = new Set()

try {
  // Everything else works on what is built.
  if (check('build')) {
    for (const name of checks) check(name)
    for (const suite of suites) test(suite)
  }
} finally {
  rmSync(temporary, { recursive: true, force: true })
}

console.log()
for (const line of notRun) console.log(line)
for (const line of skipped) console.log(`skipped: ${line}`)
for (const line of failures) console.log(`failed: ${line}`)
const parts = [`${passed} passed`, `${failed} failed`]
if (skipped.length > 0) parts.push(`${skipped.length} skipped`)
if (notRun.size > 0) parts.push(`${notRun.size} not run`)
console.log(parts.join(', '))
process.exitCode = failed > 0 ? 1 : 0

/**
 * Runs one of the scripts of package.json. It counts only if it fails, so that a red run never says `0 failed`.
 * @param {string} name
 * @returns {boolean} whether it succeeded
 */
function check(name) {
  const end = run(name, `npm run --silent ${name}`, '.')
  if (end === 'exit code 0') return true
  fail(name, end, 1)
  return false
}

/**
 * Runs a runner and adds what it counted.
 * @param {{ name: string, command: string, folder: string }} suite
 */
function test({ name, command, folder }) {
  const file = join(temporary, `${name.replaceAll(/\W+/g, '-')}.json`)
  const end = run(name, command, folder, { TALLY_FILE: file })
  const counts = read(file)
  if (!counts) return fail(name, `${end}, and no counts`, 1)

  passed += counts.passed
  for (const line of counts.skipped) {
    const group = /not run: .*/.exec(line)?.[0]
    if (group) notRun.add(group)
    else skipped.push(`${name}: ${line}`)
  }
  if (counts.failed > 0) fail(name, `${counts.failed} failed`, counts.failed)
  else if (end !== 'exit code 0') fail(name, `${end}, though no test failed`, 1)
  else if (counts.passed === 0) fail(name, 'no test was run', 1)
}

/**
 * Runs a command to its end, on screen. npm has put the runners on the PATH, for every folder.
 * @param {string} name
 * @param {string} command
 * @param {string} folder
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string} how it ended
 */
function run(name, command, folder, env) {
  console.log(`\n▸ ${name}`)
  const { status, signal, error } = spawnSync(command, {
    cwd: join(root, folder),
    env: { ...process.env, ...env },
    shell: true,
    stdio: 'inherit',
  })
  return error?.message ?? (signal ? `killed by ${signal}` : `exit code ${status}`)
}

/**
 * @param {string} file
 * @returns {Tally | undefined} nothing if the runner did not come to its end
 */
function read(file) {
  if (!existsSync(file)) return undefined
  return /** @type {Tally} */ (JSON.parse(readFileSync(file, 'utf8')))
}

/**
 * @param {string} name
 * @param {string} reason
 * @param {number} count
 */
function fail(name, reason, count) {
  failed += count
  failures.push(`${name}: ${reason}`)
}
