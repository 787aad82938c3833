// @ts-check
// `npm run bench -- <name>` runs the benchmark of that name; without a name it lists them.

/** @type {Record<string, string>} */
const benchmarks = {
  start: 'starting, answering, closing, and answering under load, beside the bare libraries',
  close: 'closing in every situation that keeps a server open, beside what Node and npm have',
  tracking: 'what it costs under load to know what is in flight',
}

const [name] = process.argv.slice(2)

if (name !== undefined && Object.hasOwn(benchmarks, name)) {
  await import(`./${name}.js`)
} else {
  if (name !== undefined) console.error(`There is no benchmark '${name}'.`)
  console.log('npm run bench -- <name>, where the name is one of')
  for (const [known, what] of Object.entries(benchmarks))
    console.log(`  ${known.padEnd(10)} ${what}`)
  if (name !== undefined) process.exitCode = 1
}
