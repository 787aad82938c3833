import { connectByName } from '../background.ts'
import { oneName } from './names.ts'
import { print, printJson } from './print.ts'
import { parse } from './usage.ts'

const HELP = `Usage: portzero url [options] <name>

Prints the URL of a server in the background. One that is being started is waited for.

  --json                    print an object, with the certificate to trust as \`ca\`
  -h, --help

Exit code: 0; 1 if it does not run, or has died; 2 for wrong usage.
`

const OPTIONS = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
  })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const { name, url, ca, died } = await connectByName(oneName(positionals))
  if (died !== undefined) throw died
  if (values.json) printJson({ name, url, ca })
  else print(url)
  return 0
}
