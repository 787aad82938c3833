import { once } from 'node:events'
import { HeldLog } from '../background/held-log.ts'
import { oneName } from './names.ts'
import { print, printJson } from './print.ts'
import { wholeNumber } from './usage.ts'
import { verb } from './verb.ts'
import type { Run } from './verb.ts'

const HELP = `Usage: portzero logs [options] <name>

Prints what a server in the background has printed, and what became of it.

  --lines <number>          only so many of the last lines
  --follow, -f              go on with what it prints, until it ends or nobody reads it
  --json                    print an object for each line
  -h, --help

Exit code: 0; 1 if it does not run; 2 for wrong usage.
`

const OPTIONS = {
  lines: { type: 'string', short: 'n' },
  follow: { type: 'boolean', short: 'f', default: false },
} as const

export const run: Run = verb({ help: HELP, options: OPTIONS }, async (values, positionals) => {
  const count = wholeNumber('lines', values.lines, 'a number of lines')
  const show = values.json ? (line: string) => printJson({ line }) : print
  const log = new HeldLog(oneName(positionals))
  // Who reads it may have had enough: `| head`.
  const unread = once(process.stdout, 'error')
  try {
    const lines = log.read()
    for (const line of lines.slice(count === undefined ? 0 : Math.max(0, lines.length - count))) {
      show(line)
    }
    if (values.follow) await log.follow(() => log.read().forEach(show), unread)
    return 0
  } finally {
    log.close()
  }
})
