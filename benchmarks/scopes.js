// @ts-check
// 40 tests under Playwright, of which 10 fail, in two workers, with a server that takes a second to start: how long that takes, and how
// often the server is started.
import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from './lib/free-port.js'
import { inRandomOrder } from './lib/order.js'
import { compare, quantile } from './lib/statistics.js'
import { machine, printTable } from './lib/table.js'

const ROUNDS = Number(process.env['ROUNDS'] ?? 3)
const SIDES = /** @type {const} */ (['plain', 'webServer', 'worker', 'slot', 'run'])
const PROJECT = fileURLToPath(new URL('scopes', import.meta.url))
const PLAYWRIGHT = createRequire(import.meta.url).resolve('@playwright/test/cli')

/** @typedef {typeof SIDES[number]} Side */

/** @type {Record<Side, number[]>} */
const seconds = { plain: [], webServer: [], worker: [], slot: [], run: [] }
/** @type {Record<Side, number[]>} */
const starts = { plain: [], webServer: [], worker: [], slot: [], run: [] }

console.log(machine())
for (let round = 1; round <= ROUNDS; round += 1) {
  for (const side of inRandomOrder(SIDES)) {
    const run = await runSuite(side)
    seconds[side].push(run.seconds)
    starts[side].push(run.starts)
  }
}

console.log('\nStarts of the server: medians')
for (const side of SIDES) console.log(`  ${side.padEnd(9)}  ${quantile(starts[side])}`)

console.log('\nThe whole run, beside a worker fixture that is written by hand')
printTable([row('worker', 'plain'), row('slot', 'plain', 0.9), row('run', 'plain', 0.9)])
console.log("\nThe whole run, beside Playwright's webServer")
printTable([row('slot', 'webServer'), row('run', 'webServer', 1.1)])
console.log(`\n${machine()}`)

/**
 * @param {Side} side
 * @param {Side} bare
 * @param {number} [most]
 * @returns {import('./lib/table.js').Row}
 */
function row(side, bare, most) {
  return {
    name: side,
    measured: compare(seconds[bare], seconds[side]),
    show: (value) => `${value.toFixed(1)} s`,
    ...(most !== undefined && { target: { most } }),
  }
}

/** @param {Side} side */
async function runSuite(side) {
  const folder = mkdtempSync(path.join(tmpdir(), 'portzero-bench-'))
  try {
    const noted = path.join(folder, 'starts')
    const startedAt = performance.now()
    const child = spawn(process.execPath, [PLAYWRIGHT, 'test'], {
      cwd: PROJECT,
      env: {
        ...process.env,
        SIDE: side,
        STARTS: noted,
        RESULTS: path.join(folder, 'results'),
        // Of the others the system picks one.
        ...(side === 'webServer' && { PORT: String(await freePort()) }),
      },
      stdio: 'ignore',
    })
    const [code] = await once(child, 'exit')
    const took = (performance.now() - startedAt) / 1000
    if (code !== 1) throw new Error(`${side}: exit code ${code}, and not 1 for tests that fail`)
    return { seconds: took, starts: readFileSync(noted, 'utf8').trim().split('\n').length }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
