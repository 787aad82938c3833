// @ts-check
// What it costs to know what is in flight, where no noise reaches: the instructions of a request and its answer under load, as Valgrind counts
// them.
import { spawnSync } from 'node:child_process'
import { countInstructions } from './instructions/count.js'
import { machine } from './lib/table.js'

/** @type {[name: string, app: import('./start/sides.js').App, other?: 'bare'][]} */
const rows = [
  ['node:http', 'http'],
  ['node:http, later', 'later'],
  ['fastify', 'fastify'],
  ['node:http beside itself', 'http', 'bare'],
]

if (spawnSync('valgrind', ['--version']).status !== 0) {
  console.error('This benchmark counts with Valgrind, which is not installed.')
  process.exit(1)
}

console.log(machine())
console.log('\nInstructions of an answer\n')
for (const [name, app, other = 'portzero'] of rows) {
  const bare = await countInstructions(app, 'bare')
  const portzero = await countInstructions(app, other)
  const cells = [bare.toFixed(0), portzero.toFixed(0), (portzero / bare).toFixed(3)]
  console.log(`  ${name.padEnd(24)} ${cells.map((cell) => cell.padStart(8)).join('')}`)
}
console.log(`\n${machine()}`)
