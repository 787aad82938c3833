#!/usr/bin/env node
// @ts-check
// What `npm run demo` runs: examples/todos under Vitest and Playwright, and what each worker did.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { stripVTControlCharacters, styleText } from 'node:util'

/** @typedef {{ worker: string, title: string, passed: boolean, durationMs: number }} Result as a reporter writes it */
/** @typedef {{ worker: string, server: string, event: string }} Line of what `PORTZERO_LOG` makes a worker say */

const root = join(import.meta.dirname, '..')
const example = join(root, 'examples/todos')
const temporary = mkdtempSync(join(tmpdir(), 'portzero-demo-'))
const coloured = process.stdout.isTTY && !process.env['NO_COLOR']

const suites = [
  {
    name: 'Vitest',
    command: `vitest run --reporter=default --reporter="${join(root, 'scripts/demo-vitest.js')}"`,
  },
  {
    name: 'Playwright, in Chromium',
    command: `playwright test --reporter="list,${join(root, 'scripts/demo-playwright.js')}"`,
  },
]

try {
  const ready = show('npm run --silent build') && show('node scripts/browser.js')
  const failed = ready ? suites.filter((suite) => !test(suite)) : suites
  console.log()
  if (!ready) console.log('The demo could not be set up.')
  else if (failed.length > 0) console.log(`Failed: ${failed.map(({ name }) => name).join('; ')}.`)
  else console.log('Each worker had a server of its own, and all of them are closed.')
  process.exitCode = failed.length > 0 ? 1 : 0
} finally {
  rmSync(temporary, { recursive: true, force: true })
}

/**
 * Runs a command of the setup, on screen.
 * @param {string} command
 */
function show(command) {
  return (
    spawnSync(command, { cwd: root, env: environment(), shell: true, stdio: 'inherit' }).status ===
    0
  )
}

/**
 * Runs the example under one runner and shows what each worker did; if it failed, also what the runner said.
 * @param {{ name: string, command: string }} suite
 * @returns {boolean} whether all tests passed and all servers were closed
 */
function test({ name, command }) {
  console.log(paint('bold', `\nexamples/todos under ${name}`))
  const file = join(temporary, 'results.json')
  rmSync(file, { force: true })
  const { status, stdout, stderr } = spawnSync(command, {
    cwd: example,
    env: environment({ PORTZERO_LOG: '1', DEMO_FILE: file }),
    shell: true,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  /** @type {Result[]} */
  const results = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  const log = readLog(`${stdout}\n${stderr}`)
  showWorkers(results, log)
  const passed = results.filter((result) => result.passed).length
  const [started, closed] = [log.filter(isStart).length, log.filter(isClose).length]
  console.log(`\n  tests: ${passed} passed, ${results.length - passed} failed`)
  console.log(`  servers: ${started} started, ${closed} closed`)
  if (status !== 0) console.log(`\n${stdout}\n${stderr}`)
  return status === 0 && started > 0 && started === closed
}

/** @param {Line} line */
function isStart({ event }) {
  return event.startsWith('started')
}

/** @param {Line} line */
function isClose({ event }) {
  return event.startsWith('closed')
}

/**
 * @param {Result[]} results
 * @param {Line[]} log
 */
function showWorkers(results, log) {
  const workers = new Set([...log, ...results].map(({ worker }) => worker))
  for (const worker of [...workers].toSorted((a, b) => Number(a) - Number(b))) {
    const own = log.filter((line) => line.worker === worker)
    console.log(`\n  worker ${worker}`)
    showLines(own.filter(isStart))
    showResults(results.filter((result) => result.worker === worker))
    showLines(own.filter(isClose))
  }
}

/** @param {Line[]} lines */
function showLines(lines) {
  for (const { server, event } of lines) console.log(`    ${paint('cyan', server)} ${event}`)
}

/** @param {Result[]} results */
function showResults(results) {
  for (const { title, passed, durationMs } of results) {
    const mark = passed ? paint('green', '✓') : paint('red', '✗')
    console.log(`      ${mark} ${title} ${paint('dim', `${durationMs.toFixed(0)} ms`)}`)
  }
}

/**
 * @param {string} output
 * @returns {Line[]}
 */
function readLog(output) {
  const lines = stripVTControlCharacters(output).matchAll(
    /portzero: slot \d+, worker (?<worker>\S+): (?<server>\S+ \S+) (?<event>.+)/g,
  )
  return Array.from(lines, ({ groups: { worker = '', server = '', event = '' } = {} }) => ({
    worker,
    server,
    event,
  }))
}

/**
 * @param {NodeJS.ProcessEnv} [extra]
 * @returns {NodeJS.ProcessEnv}
 */
function environment(extra) {
  const PATH = [join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter)
  return { ...process.env, PATH, ...(coloured && { FORCE_COLOR: '1' }), ...extra }
}

/**
 * @param {Parameters<typeof styleText>[0]} style
 * @param {string} text
 */
function paint(style, text) {
  return coloured ? styleText(style, text) : text
}
