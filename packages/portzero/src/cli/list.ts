import { list } from '../background/by-name.ts'
import type { ServerEntry } from '../types.ts'
import { print, printJson } from './print.ts'
import { verb } from './verb.ts'
import type { Run } from './verb.ts'

const HELP = `Usage: portzero list [options]

Lists the servers that run in the background.

  --all                     also those that the workers of a test run share
  --json                    print a list of objects
  -h, --help
`

const OPTIONS = { all: { type: 'boolean', default: false } } as const

export const run: Run = verb(
  { help: HELP, options: OPTIONS, allowPositionals: false },
  async (values) => {
    const entries = await list({ all: values.all })
    if (values.json) printJson(entries)
    else if (entries.length > 0) for (const line of table(entries)) print(line)
    return 0
  },
)

function table(entries: readonly ServerEntry[]): string[] {
  const rows = [
    ['NAME', 'STATE', 'URL', 'PID', 'TARGET'],
    ...entries.map(({ name, state, url = '', pid = '', target }) => [
      name,
      state,
      url,
      String(pid),
      target,
    ]),
  ]
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths?.[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
