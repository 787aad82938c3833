import { describe, listOf } from '../describe.ts'
import type { Member } from '../together.ts'
import type { ServeOptions } from '../types.ts'
import { parseTarget } from './target.ts'
import { UsageError, parse, readyOf, splitAtEquals, variables, wholeNumber } from './usage.ts'

/** What `portzero run` was asked for. */
export interface RunOptions {
  readonly isHelp: boolean
  readonly members: readonly Member[]
  /** Whether the user gave the servers names, by which they are known in the environment. */
  readonly isNamed: boolean
  readonly command: readonly string[]
  readonly quiet: boolean
  readonly json: boolean
}

/** What a server is called that has no name. */
const NAMELESS = 'server'

const NAME = /^[A-Za-z][\w-]*$/

const OPTIONS = {
  name: { type: 'string' },
  server: { type: 'string', multiple: true },
  host: { type: 'string' },
  port: { type: 'string', multiple: true },
  ready: { type: 'string', multiple: true },
  cwd: { type: 'string', multiple: true },
  grace: { type: 'string' },
  'start-timeout': { type: 'string' },
  https: { type: 'boolean' },
  http2: { type: 'boolean' },
  env: { type: 'string', multiple: true },
  quiet: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** The values of options that may be given several times are lists, which may be missing. */
type Values = ReturnType<typeof parse<{ options: typeof OPTIONS }>>['values']

/** Reads the command line. Throws a `UsageError`, or `INVALID_TARGET` for a target that is not there. */
export function readRunOptions(args: readonly string[]): RunOptions {
  const at = args.indexOf('--')
  const before = at === -1 ? args : args.slice(0, at)
  const command = at === -1 ? [] : args.slice(at + 1)
  const { values, positionals } = parse({
    args: [...before],
    options: OPTIONS,
    allowPositionals: true,
  })
  const { quiet, json, help: isHelp } = values
  if (isHelp) return { isHelp, members: [], isNamed: false, command, quiet, json }
  const texts = targetsOf(values, positionals)
  if (command.length === 0) throw noCommand(at !== -1)
  const names = texts.map(([name]) => name)
  const members = texts.map(([name, text]) => memberOf(name, text, names, values))
  const isNamed = values.name !== undefined || values.server !== undefined
  return { isHelp, members, isNamed, command, quiet, json }
}

/** The variable that holds the URL of a server. */
export function variableOf(name: string): string {
  return `${name.toUpperCase().replaceAll('-', '_')}_URL`
}

/** Pairs of name and target. */
function targetsOf(
  { name = NAMELESS, server = [] }: Values,
  positionals: readonly string[],
): [string, string][] {
  const [target, ...more] = positionals
  if (server.length === 0) {
    if (target === undefined)
      throw new UsageError('Say what to serve: a target, or --server name=target.')
    if (more.length > 0) {
      throw new UsageError(
        `One target is served; got ${positionals.length}: ${listOf(positionals)}. Put a command in quotes, 'npm start', name several with --server, and put what is to run behind --.`,
      )
    }
    return [[checked(name), target]]
  }
  if (target !== undefined || name !== NAMELESS) {
    const what = target === undefined ? '--name' : `the target ${describe(target)}`
    throw new UsageError(`With --server name=target, ${what} must be left out.`)
  }
  const pairs = server.map((text): [string, string] => {
    const [given, value] = splitAtEquals(text)
    if (value === undefined)
      throw new UsageError(`--server must be name=target. Got ${describe(text)}.`)
    return [checked(given), value]
  })
  const taken = new Set<string>()
  for (const [given] of pairs) {
    const variable = variableOf(given)
    if (taken.has(variable))
      throw new UsageError(
        `Two servers would have the variable ${variable}. Give each a name of its own.`,
      )
    taken.add(variable)
  }
  return pairs
}

function checked(name: string): string {
  // Its variable is another's.
  if (NAME.test(name) && variableOf(name) !== 'BASE_URL') return name
  throw new UsageError(
    `The name of a server must begin with a letter and have letters, digits, - and _ only; 'base' is taken. Got ${describe(name)}.`,
  )
}

function memberOf(name: string, text: string, names: readonly string[], values: Values): Member {
  const own = (option: 'port' | 'ready' | 'cwd'): string | undefined =>
    ownOf(name, names, values[option] ?? [])
  const cwd = own('cwd') ?? process.cwd()
  const ready = own('ready')
  const options: ServeOptions = {
    host: values.host,
    port: portOf(name, names, values.port ?? []),
    ready: ready === undefined ? undefined : readyOf(ready),
    grace: wholeNumber('grace', values.grace, 'a number of milliseconds'),
    startTimeout: wholeNumber('start-timeout', values['start-timeout'], 'a number of milliseconds'),
    https: values.https,
    http2: values.http2,
    env: variables(values.env ?? []),
  }
  return { name, target: parseTarget(text, cwd), options, cwd }
}

/** The last value that is meant for a server: `value` is for all, `name=value` for the one of that name. */
function ownOf(
  name: string,
  names: readonly string[],
  texts: readonly string[],
): string | undefined {
  const forAll = texts.findLast((text) => !isForOne(text, names))
  const forIt = texts.findLast((text) => text.startsWith(`${name}=`))
  return forIt?.slice(name.length + 1) ?? forAll
}

function isForOne(text: string, names: readonly string[]): boolean {
  return names.some((name) => text.startsWith(`${name}=`))
}

function portOf(
  name: string,
  names: readonly string[],
  texts: readonly string[],
): number | undefined {
  if (names.length > 1 && texts.some((text) => !isForOne(text, names))) {
    throw new UsageError(
      `With several servers, --port must name the one that gets it: --port ${names[0]}=3000.`,
    )
  }
  return wholeNumber('port', ownOf(name, names, texts), 'a whole number from 0 to 65535')
}

function noCommand(hasDashes: boolean): UsageError {
  return new UsageError(
    hasDashes
      ? 'There is nothing behind --. Say what to run: -- npx playwright test.'
      : 'Say what to run, behind --: portzero run <target> -- npx playwright test.',
  )
}
