import { list, stopByName } from '../background/by-name.ts'
import type { CloseOptions, CloseReport } from '../types.ts'
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
  if (values.json) printJson(stopped)
  else for (const one of stopped) tell(one)
  return stopped.some(({ error }) => error !== undefined) ? 1 : 0
})

/** How it went with one. */
interface Stopped extends Partial<CloseReport> {
  readonly name: string
  readonly error?: ReturnType<typeof asJson>
}

async function stop(name: string, options: CloseOptions): Promise<Stopped> {
  try {
    return { name, ...(await stopByName(name, options)) }
  } catch (error) {
    return { name, error: asJson(error) }
  }
}

function tell({ name, error, ...report }: Stopped): void {
  if (error === undefined) print(`${name}: ${closedInWords(report as CloseReport)}`)
  else process.stderr.write(`portzero: [${error.code}] ${error.message}\n`)
}

async function namesOf(all: boolean, names: string[]): Promise<string[]> {
  if (all === names.length > 0) {
    throw new UsageError('Say which servers to stop: their names, or --all.')
  }
  return all ? (await list()).map(({ name }) => name) : [...new Set(names)]
}
