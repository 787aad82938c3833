import { list, stopByName } from '../background/by-name.ts'
import type { Ended } from '../background/by-name.ts'
import type { CloseOptions } from '../types.ts'
import { asJson, closedInWords, print, printJson } from './print.ts'
import { UsageError, wholeNumber } from './usage.ts'
import { verb } from './verb.ts'
import type { Run } from './verb.ts'

const HELP = `Usage: portzero stop [options] <name…>
       portzero stop [options] --all

Stops servers in the background, for everybody, and tells how that went: what was in flight gets its time, and is cut off then.

  --all                     all that \`portzero list\` tells
  --grace <ms>              what requests in flight get; else as the server was started
  --json                    print a list of reports
  -h, --help

Exit code: 0 when all are gone; 1 if one of a name does not run, or a close hook of one threw; 2 for wrong usage.
`

const OPTIONS = {
  all: { type: 'boolean', default: false },
  grace: { type: 'string' },
} as const

export const run: Run = verb({ help: HELP, options: OPTIONS }, async (values, positionals) => {
  const grace = wholeNumber('grace', values.grace, 'a number of milliseconds')
  const names = await namesOf(values.all, positionals)
  const stopped = await Promise.all(names.map((name) => stop(name, { grace })))
  if (values.json) printJson(stopped.map(asObject))
  else for (const one of stopped) tell(one)
  return stopped.some((one) => 'error' in one) ? 1 : 0
})

/** How it went with one. */
type Stopped = { readonly name: string } & (Ended | { readonly error: ReturnType<typeof asJson> })

async function stop(name: string, options: CloseOptions): Promise<Stopped> {
  try {
    return { name, ...(await stopByName(name, options)) }
  } catch (error) {
    return { name, error: asJson(error) }
  }
}

function asObject(one: Stopped): object {
  return 'error' in one ? one : { name: one.name, ...one.report }
}

function tell(one: Stopped): void {
  if ('error' in one) process.stderr.write(`portzero: [${one.error.code}] ${one.error.message}\n`)
  else print(`${one.name}: ${closedInWords(one.report, one.hadDied)}`)
}

async function namesOf(all: boolean, names: string[]): Promise<string[]> {
  if (all === names.length > 0) {
    throw new UsageError('Say which servers to stop: their names, or --all.')
  }
  return all ? (await list()).map(({ name }) => name) : [...new Set(names)]
}
