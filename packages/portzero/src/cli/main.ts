// The command `portzero`: finds the verb, loads it alone, and turns what it throws into words and an exit code.
import { readFileSync } from 'node:fs'
import { PortzeroError, messageOf } from '../errors.ts'
import { MANIFEST } from '../files.ts'
import { turns } from '../turns.ts'
import { written } from '../written.ts'
import { USAGE, UsageError } from './usage.ts'

/** A verb takes what follows it on the command line, and resolves to the exit code. */
interface Verb {
  run(args: readonly string[]): Promise<number>
}

const commands: Record<string, () => Promise<Verb>> = {
  run: () => import('./run.ts'),
  start: () => import('./start.ts'),
  stop: () => import('./stop.ts'),
  restart: () => import('./restart.ts'),
  list: () => import('./list.ts'),
  url: () => import('./url.ts'),
  logs: () => import('./logs.ts'),
}

const HELP = `Usage: portzero <verb> [options]

  run <target> -- <command…>    start a server, run a command with its URL, stop the server
  start <target> --name <name>  start a server in the background, and print its URL when it is ready
  stop <name…>                  stop it
  restart <name>                load its code anew, on the same port
  list                          what runs in the background
  url <name>                    its URL
  logs <name>                   what it has printed

portzero <verb> --help tells more; portzero --version tells the version.
`

/** 1 when what was asked for could not be written: the disk may be full. */
let unwritten = 0

/** Of wrong usage. */
const EXIT_USAGE = 2

void begin()

async function begin(): Promise<void> {
  const code = await main(process.argv.slice(2))
  // Who reads it may be slower, as a pager is.
  await written()
  // What could not be written is told in the next turn.
  await turns(1)
  // Whatever a library may still hold open.
  process.exit(code === 0 ? unwritten : code)
}

async function main([name, ...args]: string[]): Promise<number> {
  // Who reads it may stop reading at any time, and a terminal be closed.
  process.stderr.on('error', () => {})
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || code === 'EIO') return
    process.stderr.write(`portzero: cannot write: ${message}\n`)
    unwritten = 1
  })
  if (name === '--help' || name === '-h' || name === 'help') return print(HELP)
  if (name === '--version' || name === '-v') return print(`${version()}\n`)
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    const got = name === undefined ? 'No verb was given' : `There is no verb '${name}'`
    process.stderr.write(
      `portzero: ${got}; there is: ${Object.keys(commands).join(', ')}.\n${HELP}`,
    )
    return EXIT_USAGE
  }
  try {
    const verb = await load()
    return await verb.run(args)
  } catch (error) {
    return explain(name as string, error)
  }
}

function explain(verb: string, error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`portzero: ${error.message}\n${USAGE}portzero ${verb} --help\n`)
    return EXIT_USAGE
  }
  const text =
    error instanceof PortzeroError
      ? `[${error.code}] ${error.message}`
      : error instanceof Error
        ? (error.stack ?? error.message)
        : messageOf(error)
  process.stderr.write(`portzero: ${text}\n`)
  return 1
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

function version(): string {
  return (JSON.parse(readFileSync(MANIFEST, 'utf8')) as { version: string }).version
}
