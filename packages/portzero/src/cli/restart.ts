import { performance } from 'node:perf_hooks'
import { connectByName } from '../background/by-name.ts'
import { oneName } from './names.ts'
import { closedInWords, print, printJson } from './print.ts'
import { wholeNumber } from './usage.ts'
import { verb } from './verb.ts'
import type { Run } from './verb.ts'

const HELP = `Usage: portzero restart [options] <name>

Closes a server in the background, and starts it anew on the same port, with fresh code. One that has died comes back.

  --grace <ms>              what requests in flight get; else as the server was started
  --json                    print the report of its closing, with name and url
  -h, --help

Exit code: 0 when it is ready again; 1 if it does not run, or does not start: then it is gone; 2 for wrong usage.
`

const OPTIONS = { grace: { type: 'string' } } as const

export const run: Run = verb({ help: HELP, options: OPTIONS }, async (values, positionals) => {
  const grace = wholeNumber('grace', values.grace, 'a number of milliseconds')
  const server = await connectByName(oneName(positionals))
  const hadDied = server.died !== undefined
  const startedAt = performance.now()
  const closed = await server.restart({ app: 'rebuild', grace })
  const { name, url } = server
  const ms = (performance.now() - startedAt).toFixed(0)
  if (values.json) printJson({ name, url, ...closed })
  else print(`${name}: ${closedInWords(closed, hadDied)}; ready again at ${url} after ${ms} ms`)
  return 0
})
