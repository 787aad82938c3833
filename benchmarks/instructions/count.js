// @ts-check
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const ANSWER = fileURLToPath(new URL('answer.js', import.meta.url))

/** Valgrind looks for code that V8 has replaced; V8 compiles and collects in the one thread that it counts, and at no time by chance. */
const VALGRIND = ['--tool=callgrind', '--callgrind-out-file=/dev/null', '--smc-check=all-non-file']
const V8 = ['--single-threaded', '--predictable-gc-schedule', '--random-seed=1', '--hash-seed=1']

/** By then all that V8 compiles is compiled. */
const WARM_UP = 20_000
const COUNTED = 40_000

/**
 * Instructions of a request and its answer: what a process needs more for more of them.
 * @param {import('../lib/pairs.js').Side} side
 * @param {'at once' | 'later'} kind of answer
 */
export async function countInstructions(side, kind) {
  const [less, more] = await Promise.all([
    instructionsFor(WARM_UP, side, kind),
    instructionsFor(WARM_UP + COUNTED, side, kind),
  ])
  return (more - less) / COUNTED
}

/**
 * Of a whole process that answers so many requests.
 * @param {number} requests
 * @param {string[]} what
 */
async function instructionsFor(requests, ...what) {
  const args = [...VALGRIND, process.execPath, ...V8, ANSWER, ...what, String(requests)]
  const said = await text(spawn('valgrind', args, { stdio: ['ignore', 'inherit', 'pipe'] }).stderr)
  const [, counted] = /Collected : (\d+)/.exec(said) ?? []
  if (counted === undefined) throw new Error(`Valgrind did not count: ${said}`)
  return Number(counted)
}
