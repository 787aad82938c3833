// @ts-check
// `npm run bench -- <name>` runs the benchmark of that name; without a name it lists them.

/** @type {Record<string, string>} */
const benchmarks = {
  start: 'starting, answering, closing, and answering under load, beside the bare libraries',
  close: 'closing in every situation that keeps a server open, beside what Node and npm have',
  command: 'a command round a server: portzero run beside doing so by hand, and what npm has',
  tracking: 'what it costs under load to know what is in flight',
  instructions: 'the same in instructions, which nothing disturbs',
  isolation:
    'starting in a thread, in a process, as a program and by uvicorn, beside doing so by hand',
  scopes:
    "a suite with failing tests on a slow server, for each scope, beside Playwright's webServer",
  'web-server':
    "Playwright's webServer until the first test, polled, waited for, and by webServer()",
}

const [name] = process.argv.slice(2)

if (name !== undefined && Object.hasOwn(benchmarks, name)) {
  await import(`./${name}.js`)
} else {
  if (name !== undefined) console.error(`There is no benchmark '${name}'.`)
  console.log('npm run bench -- <name>, where the name is one of')
  for (const [known, what] of Object.entries(benchmarks))
    console.log(`  ${known.padEnd(12)} ${what}`)
  if (name !== undefined) process.exitCode = 1
}
