// @ts-check
// A command round a server that is ready at once, from the start of all to the end of all: by hand, by portzero and by what npm has.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { runByHand } from './command/by-hand.js'
import { freePort } from './lib/free-port.js'
import { inRandomOrder } from './lib/order.js'
import { quantile } from './lib/statistics.js'
import { machine } from './lib/table.js'

const ROUNDS = 25
const MOST = 100
const COMMAND = ['node', '-e', 'fetch']

const here = (/** @type {string} */ file) =>
  fileURLToPath(new URL(`command/${file}`, import.meta.url))
const require = createRequire(import.meta.url)
const portzero = fileURLToPath(new URL('../bin/portzero.cjs', import.meta.resolve('portzero')))
const startServerAndTest = require.resolve('start-server-and-test/src/bin/start.js')
const server = here('server.js')

/** @type {Record<string, () => Promise<void>>} */
const sides = {
  'by hand': () => runByHand(COMMAND),
  'by hand, as a script of its own': () => node([here('by-hand.js'), ...COMMAND]),
  portzero: () => node([portzero, 'run', '--quiet', `node ${server}`, '--', ...COMMAND]),
  'start-server-and-test, every 100 ms': () => startServer({ WAIT_ON_INTERVAL: '100' }),
  'start-server-and-test': () => startServer({}),
  'jest-dev-server': async () =>
    node([here('with-jest-dev-server.js'), String(await freePort()), ...COMMAND]),
}

/** @type {Map<string, number[]>} */
const times = new Map(Object.keys(sides).map((name) => [name, []]))

console.log(machine())
// What is read from the disk for the first time is not counted.
for (const run of Object.values(sides)) await run()
for (let round = 1; round <= ROUNDS; round += 1) {
  for (const [name, run] of inRandomOrder(Object.entries(sides))) {
    const startedAt = performance.now()
    await run()
    times.get(name)?.push(performance.now() - startedAt)
  }
}

const bare = times.get('by hand') ?? []
console.log(
  `\n| | median | over by hand | middle half | rounds | target | |\n|---|--:|--:|--:|--:|--:|---|`,
)
for (const [name, measured] of times) {
  const over = measured.map((value, round) => value - (bare[round] ?? Number.NaN))
  const middle = [0.25, 0.75].map((part) => quantile(over, part).toFixed(0)).join(' to ')
  const verdict =
    name === 'portzero' ? `≤ ${MOST} ms | ${quantile(over) <= MOST ? 'met' : 'MISSED'}` : '– | '
  console.log(
    `| ${name} | ${quantile(measured).toFixed(0)} ms | ${quantile(over).toFixed(0)} ms | ${middle} | ${ROUNDS} | ${verdict} |`,
  )
}
console.log(`\n${machine()}`)

/**
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
async function node(args, env = {}) {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  })
  let said = ''
  child.stderr.on('data', (chunk) => (said += String(chunk)))
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}: ${said}`)
}

/** @param {NodeJS.ProcessEnv} env */
async function startServer(env) {
  const port = String(await freePort())
  const url = `http-get://127.0.0.1:${port}`
  const args = [`node ${server}`, url, COMMAND.join(' ')]
  await node([startServerAndTest, ...args], { ...env, PORT: port })
}
