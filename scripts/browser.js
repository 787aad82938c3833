#!/usr/bin/env node
// @ts-check
// Finds a Chromium for Playwright and says how to launch it. Run as a program, it installs one where there is none.
import { spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { chromium } from '@playwright/test'

/**
 * @typedef {object} Browser
 * @property {string} path where the program is
 * @property {boolean} own whether it is Playwright's own, which Playwright finds by itself
 */

/**
 * @typedef {object} LaunchOptions what `use.launchOptions` of a Playwright configuration takes
 * @property {string} [executablePath] left out for Playwright's own, so that its lighter headless shell is used
 * @property {boolean} chromiumSandbox
 * @property {string[]} args
 */

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const MAC_APPS = ['Google Chrome', 'Chromium']
const INSTALL_TIMEOUT = 5 * 60_000
const HINT =
  'Install Chromium or Google Chrome, run `npx playwright install --with-deps chromium`, ' +
  'or set PORTZERO_CHROMIUM to the path of a Chromium.'

/**
 * Path of the Chromium that is used: `PORTZERO_CHROMIUM`, else a system Chromium or Chrome, else Playwright's own.
 * @returns {string | undefined}
 */
export function findChromium() {
  return locate()?.path
}

/**
 * Launch options for the Chromium that is found; without one, Playwright's own error says what is missing.
 * @returns {LaunchOptions}
 */
export function launchOptions() {
  const browser = locate()
  return {
    ...(browser && !browser.own && { executablePath: browser.path }),
    // Playwright's default too: root and most containers cannot have the sandbox, and the pages are the project's own.
    chromiumSandbox: false,
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      // A system Chromium calls home; a test must not.
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--disable-quic',
    ],
  }
}

/** @returns {Browser | undefined} */
function locate() {
  const chosen = process.env['PORTZERO_CHROMIUM']
  if (chosen) return { path: chosen, own: false }
  const system = systemCandidates().find((path) => existsSync(path) && tellsVersion(path))
  if (system) return { path: system, own: false }
  const path = chromium.executablePath()
  return existsSync(path) ? { path, own: true } : undefined
}

/** @returns {string[]} */
function systemCandidates() {
  if (process.platform === 'win32') return []
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)
  return [
    '/usr/bin/chromium',
    ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))),
    ...MAC_APPS.map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`),
  ]
}

/**
 * Some systems have a `chromium-browser` that only tells how to install one.
 * @param {string} path
 */
function tellsVersion(path) {
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  return status === 0 && /chrom/i.test(stdout)
}

/** Installs until one starts: nothing, then Playwright's own, then the system's package. */
async function main() {
  /** @type {string[]} */
  const failures = []
  for (const install of [() => undefined, installOwn, installPackage]) {
    const failure = install() ?? (await launch())
    if (!failure) return
    failures.push(failure)
    if (process.env['PORTZERO_CHROMIUM']) break
  }
  console.error(
    `No Chromium can be used. ${HINT}\n${failures.map((line) => `  - ${line}`).join('\n')}`,
  )
  process.exitCode = 1
}

/**
 * Starts the browser that is found, says which it is, and closes it.
 * @returns {Promise<string | undefined>} why it could not be started
 */
async function launch() {
  const path = findChromium()
  if (!path) return 'no Chromium was found'
  try {
    const browser = await chromium.launch(launchOptions())
    console.log(`browser: Chromium ${browser.version()} at ${path}`)
    await browser.close()
    return undefined
  } catch (error) {
    return `${path} does not start: ${firstLine(error instanceof Error ? error.message : String(error))}`
  }
}

/** @returns {string | undefined} why it could not be installed */
function installOwn() {
  console.log("browser: installing Playwright's Chromium")
  const cli = createRequire(import.meta.url).resolve('@playwright/test/cli')
  return run([process.execPath, cli, 'install', 'chromium'])
}

/** @returns {string | undefined} why it could not be installed */
function installPackage() {
  if (run(['apt-get', '--version'])) return 'there is no apt-get to install a package with'
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (run([...sudo, 'true'])) return 'apt-get needs root'
  console.log("browser: installing the system's package chromium")
  const apt = [...sudo, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get']
  // Should this fail, it may be for a source that is not needed; what comes next tells.
  run([...apt, 'update'])
  return run([...apt, 'install', '-y', '--no-install-recommends', 'chromium'])
}

/**
 * Runs a command to its end, or for five minutes, and keeps its output to itself.
 * @param {string[]} words
 * @returns {string | undefined} why it failed
 */
function run(words) {
  const [command = '', ...args] = words
  const { status, error, stderr, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: INSTALL_TIMEOUT,
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status === 0) return undefined
  const said = /^(?:E|Error): .*$/m.exec(`${stderr}\n${stdout}`)?.[0]
  return `\`${words.join(' ')}\` failed: ${error?.message ?? said ?? `exit code ${status}`}`
}

/** @param {string} text */
function firstLine(text) {
  return text.split('\n', 1)[0]
}

const program = process.argv[1]
if (program && import.meta.filename === realpathSync(program)) await main()
