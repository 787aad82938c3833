// @ts-check
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { ask } from '../start/load.js'

const SERVER = new URL('../start/server.js', import.meta.url)
const CONNECTIONS = 16

/** Valgrind looks for code that V8 has replaced; V8 compiles and collects in the one thread that it counts. */
const VALGRIND = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--smc-check=all-non-file']
const NODE = [process.execPath, '--single-threaded']

/** By then all that V8 compiles is compiled. */
const WARM_UP = 20_000
const COUNTED = 50_000

/**
 * Instructions of a request and its answer: what a process needs more for more of them.
 * @param {import('../start/sides.js').App} app
 * @param {import('../lib/pairs.js').Side} side
 */
export async function countInstructions(app, side) {
  const [less, more] = await Promise.all([
    instructionsFor(WARM_UP, app, side),
    instructionsFor(WARM_UP + COUNTED, app, side),
  ])
  return (more - less) / COUNTED
}

/**
 * Of a whole process that answers so many requests.
 * @param {number} requests
 * @param {import('../start/sides.js').App} app
 * @param {import('../lib/pairs.js').Side} side
 * @returns {Promise<number>}
 */
async function instructionsFor(requests, app, side) {
  const child = fork(SERVER, [app, side], {
    execPath: 'valgrind',
    execArgv: [...VALGRIND, ...NODE],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const told = text(/** @type {import('node:stream').Readable} */ (child.stderr))
  const [[port]] = await once(child, 'message')
  await ask(port, { connections: CONNECTIONS, requests })
  // It ends by itself then.
  child.disconnect()
  const [, counted] = /Collected : (\d+)/.exec(await told) ?? []
  if (counted === undefined) throw new Error(`Valgrind did not count: ${await told}`)
  return Number(counted)
}
