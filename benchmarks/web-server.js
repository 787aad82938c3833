// @ts-check
// Playwright's webServer: from the moment the server listens to the body of the first test, with a URL that is polled, with a line that is
// waited for, and by webServer() of @portzero/playwright, in turn.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './lib/free-port.js'
import { compare } from './lib/statistics.js'
import { machine, printTable } from './lib/table.js'

const ROUNDS = 8
const playwright = createRequire(import.meta.url).resolve('@playwright/test/cli')
const cwd = join(import.meta.dirname, 'web-server')

/** @typedef {'url' | 'wait' | 'portzero'} Side */

/** @type {Record<Side, number[]>} */
const samples = { url: [], wait: [], portzero: [] }
/** @type {Side[]} */
const sides = ['url', 'wait', 'portzero']

console.log(machine())
// What is compiled for the first run is not the others'.
await measure('portzero')
for (let round = 0; round < ROUNDS; round += 1) {
  for (let turn = 0; turn < sides.length; turn += 1) {
    const side = /** @type {Side} */ (sides[(round + turn) % sides.length])
    samples[side].push(await measure(side))
  }
}

const ms = (/** @type {number} */ value) => `${value.toFixed(0)} ms`
console.log('\nFrom listening to the body of the first test')
printTable([
  {
    name: 'a url',
    measured: compare(samples.url, samples.portzero),
    show: ms,
    target: { most: 1 },
  },
  {
    name: 'wait',
    measured: compare(samples.wait, samples.portzero),
    show: ms,
    target: { most: 1.05 },
  },
])
console.log(`\n${machine()}`)

/** @param {Side} side */
async function measure(side) {
  const folder = await mkdtemp(join(tmpdir(), 'web-server-'))
  const [LISTENING, BODY] = [join(folder, 'listening'), join(folder, 'body')]
  const PORT = String(side === 'portzero' ? '' : await freePort())
  const child = spawn(process.execPath, [playwright, 'test'], {
    cwd,
    env: { ...process.env, SIDE: side, PORT, LISTENING, BODY, RESULTS: join(folder, 'results') },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`Playwright ended with exit code ${code} (${side}).`)
  const [listening, body] = await Promise.all(
    [LISTENING, BODY].map((file) => readFile(file, 'utf8')),
  )
  await rm(folder, { recursive: true })
  return Number(body) - Number(listening)
}
