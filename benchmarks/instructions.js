// @ts-check
// What it costs to know what is in flight, where no noise reaches: the instructions of a request and its answer without a network, as Valgrind
// counts them.
import { spawnSync } from 'node:child_process'
import { countInstructions } from './instructions/count.js'
import { machine } from './lib/table.js'

if (spawnSync('valgrind', ['--version']).status !== 0) {
  console.error('This benchmark counts with Valgrind, which is not installed.')
  process.exit(1)
}

console.log(machine())
console.log('\nInstructions of an answer\n')
for (const kind of /** @type {const} */ (['at once', 'later'])) {
  const bare = await countInstructions('bare', kind)
  const portzero = await countInstructions('portzero', kind)
  const cells = [bare, portzero, portzero - bare].map((count) => count.toFixed(0).padStart(8))
  console.log(`  ${kind.padEnd(8)} ${cells.join('')}`)
}
