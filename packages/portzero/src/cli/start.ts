import { chdir } from 'node:process'
import { list, start as startServer } from '../background/by-name.ts'
import { describe, listOf } from '../describe.ts'
import type { StartOptions } from '../types.ts'
import { print, printJson } from './print.ts'
import { parseTarget } from './target.ts'
import { UsageError, readyOf, variables, wholeNumber } from './usage.ts'
import { verb } from './verb.ts'
import type { Run, Values } from './verb.ts'

const HELP = `Usage: portzero start [options] <target> --name <name>

Starts a server in the background, and prints its URL when it is ready. It runs until \`portzero stop <name>\`.

A target is a module (./src/server.ts), a command in quotes ('npm start', 'vite preview --port {port}'),
or an ASGI app (asgi:main:app).

  --name <name>             by which it is found
  --host <address>          where to bind; 127.0.0.1
  --port <number>           instead of a free one
  --ready <path|pattern>    a path that must answer below 400, or a pattern that a line of output must match
  --cwd <folder>            where the target is looked for and runs; the current folder
  --env <NAME=value>        a variable for it; may be given several times
  --isolation <where>       of a module: process, or thread
  --grace <ms>              what requests in flight get when it stops; 1000
  --start-timeout <ms>      what the start may take; 30000
  --https, --http2          of modules
  --json                    print what \`portzero list --json\` tells of it
  -h, --help

Exit code: 0 when it is ready; 1 if it does not start, or its name is taken; 2 for wrong usage.
`

const OPTIONS = {
  name: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  ready: { type: 'string' },
  cwd: { type: 'string' },
  env: { type: 'string', multiple: true },
  isolation: { type: 'string' },
  grace: { type: 'string' },
  'start-timeout': { type: 'string' },
  https: { type: 'boolean' },
  http2: { type: 'boolean' },
} as const

export const run: Run = verb({ help: HELP, options: OPTIONS }, async (values, positionals) => {
  const [target, ...more] = positionals
  if (target === undefined) throw new UsageError('Say what to start: portzero start ./server.js.')
  if (more.length > 0) {
    throw new UsageError(
      `One target is started; got ${positionals.length}: ${listOf(positionals)}. Put a command in quotes: 'npm start'.`,
    )
  }
  const options = optionsOf(values)
  if (values.cwd !== undefined) enter(values.cwd)
  const server = await startServer(parseTarget(target, process.cwd()), options)
  if (values.json) printJson((await list()).find(({ name }) => name === server.name))
  else print(server.url)
  return 0
})

function optionsOf(values: Values<typeof OPTIONS>): StartOptions {
  const { name, isolation } = values
  if (name === undefined) {
    throw new UsageError('Give it a name, by which others find it: --name api.')
  }
  if (isolation !== undefined && isolation !== 'process' && isolation !== 'thread') {
    throw new UsageError(`--isolation must be process or thread. Got ${describe(isolation)}.`)
  }
  return {
    name,
    isolation,
    host: values.host,
    port: wholeNumber('port', values.port, 'a whole number from 0 to 65535'),
    ready: values.ready === undefined ? undefined : readyOf(values.ready),
    grace: wholeNumber('grace', values.grace, 'a number of milliseconds'),
    startTimeout: wholeNumber('start-timeout', values['start-timeout'], 'a number of milliseconds'),
    https: values.https,
    http2: values.http2,
    env: variables(values.env ?? []),
  }
}

/** The server has the working directory of whoever starts it. */
function enter(folder: string): void {
  try {
    chdir(folder)
  } catch (cause) {
    throw new UsageError(`--cwd must be a folder. There is none at ${folder}.`, { cause })
  }
}
