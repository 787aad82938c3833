import { connectByName } from '../background/by-name.ts'
import { oneName } from './names.ts'
import { print, printJson } from './print.ts'
import { verb } from './verb.ts'
import type { Run } from './verb.ts'

const HELP = `Usage: portzero url [options] <name>

Prints the URL of a server in the background. One that is being started is waited for.

  --json                    print an object, with the certificate to trust as \`ca\`
  -h, --help

Exit code: 0; 1 if it does not run, or has died; 2 for wrong usage.
`

export const run: Run = verb({ help: HELP, options: {} }, async ({ json }, positionals) => {
  const { name, url, ca, died } = await connectByName(oneName(positionals))
  if (died !== undefined) throw died
  if (json) printJson({ name, url, ca })
  else print(url)
  return 0
})
