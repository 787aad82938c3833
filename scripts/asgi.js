#!/usr/bin/env node
// @ts-check
// Finds a Python for the tests of ASGI apps. Run as a program, it installs what they need where it can.
import { spawnSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** What the tests import, and the packages of Debian and Ubuntu that have it. */
const NEEDED = {
  uvicorn: 'python3-uvicorn',
  fastapi: 'python3-fastapi',
  websockets: 'python3-websockets',
  coverage: 'python3-coverage',
}
const TIMEOUT = 5 * 60_000

/**
 * Path of the first Python on the `PATH` that has all that is needed, or of `PORTZERO_PYTHON`.
 * @returns {string | undefined}
 */
export function findPython() {
  const chosen = process.env['PORTZERO_PYTHON']
  return (chosen ? [chosen] : interpreters()).find((path) => lacks(path)?.length === 0)
}

/**
 * Why the tests of ASGI apps cannot be run.
 * @returns {string}
 */
export function whyNot() {
  const chosen = process.env['PORTZERO_PYTHON']
  if (chosen) return `PORTZERO_PYTHON is ${chosen}, which ${fault(lacks(chosen))}`
  const nearest = interpreters()
    .map(lacks)
    .toSorted((one, other) => (one?.length ?? Infinity) - (other?.length ?? Infinity))[0]
  return `Python ${fault(nearest)}, and ${obstacle() ?? '`npm run asgi` could not install it'}`
}

/** @param {string[] | undefined} modules */
function fault(modules) {
  return modules ? `lacks ${modules.join(', ')}` : 'does not run'
}

/** @returns {string[]} */
function interpreters() {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)
  return folders.flatMap((folder) => ['python3', 'python'].map((name) => join(folder, name)))
}

/**
 * @param {string} python
 * @returns {string[] | undefined} what it cannot import; nothing if it does not run
 */
function lacks(python) {
  const program =
    'import sys, importlib.util; print(*[name for name in sys.argv[1:] if not importlib.util.find_spec(name)])'
  const { status, stdout } = spawnSync(python, ['-c', program, ...Object.keys(NEEDED)], {
    encoding: 'utf8',
    timeout: 10_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return status === 0 ? stdout.split(/\s+/).filter(Boolean) : undefined
}

/** @returns {string | undefined} why nothing can be installed */
function obstacle() {
  if (run(['apt-get', '--version'])) return 'apt-get is not available'
  return run([...asRoot(), 'true']) ? 'apt-get needs root' : undefined
}

function asRoot() {
  return process.getuid?.() === 0 ? [] : ['sudo', '-n']
}

/** Never fails: the tests say what is missing, and are counted as not run. */
function main() {
  if (!findPython() && !process.env['PORTZERO_PYTHON'] && !obstacle()) install()
  const python = findPython()
  console.log(python ? `asgi: ${python}` : `asgi: not run: ${whyNot()}`)
}

function install() {
  const packages = Object.values(NEEDED)
  console.log(`asgi: installing the system's packages ${packages.join(', ')}`)
  const apt = [...asRoot(), 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get']
  const words = [...apt, 'install', '-y', '--no-install-recommends', ...packages]
  if (!run(words)) return
  // Its lists may be old, or not there yet.
  run([...apt, 'update'])
  const failure = run(words)
  if (failure) console.error(failure)
}

/**
 * Runs a command to its end, or for five minutes, and keeps its output to itself.
 * @param {string[]} words
 * @returns {string | undefined} why it failed, with what it said
 */
function run(words) {
  const [command = '', ...args] = words
  const { status, error, stderr, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: TIMEOUT,
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status === 0) return undefined
  return `\`${words.join(' ')}\` failed: ${error?.message ?? `exit code ${status}`}\n${stdout}${stderr}`
}

const program = process.argv[1]
if (program && import.meta.filename === realpathSync(program)) main()
