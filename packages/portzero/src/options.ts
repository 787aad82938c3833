import { constants } from 'node:os'
import { parseAdvertised } from './advertise.ts'
import type { Certificate } from './certificate/certificate.ts'
import { LONGEST } from './deadline.ts'
import { describe, listOf } from './describe.ts'
import { PortzeroError } from './errors.ts'
import type { OnLoad } from './loading/load-reports.ts'
import type { AsgiTarget, CommandTarget, ServeOptions } from './types.ts'

/** Options of `serve()` with every default filled in. */
export interface Settings {
  readonly isolation: 'inline' | 'thread' | 'process'
  readonly env: Readonly<Record<string, string>>
  readonly host: string
  readonly advertise: string | undefined
  readonly port: number
  readonly https: boolean
  /** What TLS is spoken with, once it is made. */
  readonly certificate?: Certificate | undefined
  readonly http2: boolean
  readonly ready: ServeOptions['ready']
  readonly startTimeout: number
  readonly grace: number
  readonly slot: number
  readonly workerId: string
  /** Is shown what a thread, process or program prints, and when something comes or goes there. */
  readonly observer?: Observer | undefined
}

/** Who looks on while a server runs elsewhere. */
export interface Observer {
  readonly line?: (text: string) => void
  readonly changed?: () => void
  /** Told of each file that an app in a thread or process has loaded. */
  readonly loaded?: OnLoad | undefined
}

/** What holds where an option is left out. */
export const DEFAULTS: Settings = {
  isolation: 'inline',
  env: {},
  host: '127.0.0.1',
  advertise: undefined,
  port: 0,
  https: false,
  http2: false,
  ready: undefined,
  startTimeout: 30_000,
  grace: 1_000,
  slot: 0,
  workerId: String(process.pid),
}

/** What an option must be. */
export interface Rule {
  accepts(value: unknown): boolean
  expected: string
}

const milliseconds: Rule = {
  accepts: (value) => typeof value === 'number' && value >= 0 && value <= LONGEST,
  expected: `a number of milliseconds from 0 to ${LONGEST}`,
}

const flag: Rule = { accepts: (value) => typeof value === 'boolean', expected: 'true or false' }

/** The name of a server, and of what stands for it in a test. */
export const identifier: Rule = {
  accepts: (value) => typeof value === 'string' && /^[A-Za-z_$][\w$]*$/.test(value),
  expected: "a name that can stand in ({ name }) => …, such as 'api'",
}

/** A name under which a server runs in the background; it is part of a file's name too. */
export const NAME: RegExp = /^[A-Za-z0-9][\w.-]{0,63}$/

const heldName: Rule = {
  accepts: (value) => typeof value === 'string' && NAME.test(value),
  expected:
    "a name of at most 64 letters, digits, '.', '_' and '-' that begins with a letter or digit, such as 'api'",
}

const lingering: Rule = {
  accepts: (value) => value === 'wait' || value === 'warn' || value === 'fail',
  expected: "'wait', 'warn' or 'fail'",
}

const restart: Rule = {
  accepts: (value) => value === 'never' || value === 'between-tests',
  expected: "'never' or 'between-tests'",
}

const scope: Rule = {
  accepts: (value) => value === 'worker' || value === 'slot' || value === 'run',
  expected: "'worker', 'slot' or 'run'",
}

const RULES: Record<keyof ServeOptions, Rule> = {
  isolation: {
    accepts: (value) => value === 'inline' || value === 'thread' || value === 'process',
    expected: "'inline', 'thread' or 'process'",
  },
  env: {
    accepts: (value) =>
      typeof value === 'object' && value !== null && Object.entries(value).flat().every(isText),
    expected: 'an object whose values are strings, without a null character',
  },
  host: {
    accepts: (value) => typeof value === 'string' && value !== '',
    expected: "an address or host name, such as '127.0.0.1'",
  },
  advertise: {
    accepts: (value) => typeof value === 'string' && parseAdvertised(value) !== undefined,
    expected:
      "a host or a URL without a path, such as 'host.docker.internal' or 'https://app.test'",
  },
  port: {
    accepts: (value) => isWhole(value) && value <= 65_535,
    expected: 'a whole number from 0 to 65535, where 0 picks a free port',
  },
  https: flag,
  http2: flag,
  ready: {
    accepts: (value) =>
      typeof value === 'function' ||
      value instanceof RegExp ||
      (typeof value === 'string' && value.startsWith('/')),
    expected: "a path that starts with '/', a pattern, or a function",
  },
  startTimeout: milliseconds,
  grace: milliseconds,
  slot: { accepts: isWhole, expected: 'a whole number from 0' },
  workerId: { accepts: (value) => typeof value === 'string', expected: 'a string' },
}

const cwd: Rule = {
  accepts: (value) => typeof value === 'string' && value !== '',
  expected: 'the path of a directory',
}

/** What a program is made of. */
const PROGRAM: Record<keyof CommandTarget, Rule> = {
  command: {
    accepts: (value) => {
      const [file, ...args] = Array.isArray(value) ? (value as unknown[]) : [value]
      return isText(file) && file.trim() !== '' && args.every(isText)
    },
    expected: "a line such as 'npm start', or a list such as ['node', 'server.js']",
  },
  cwd,
  env: RULES.env,
  stopSignal: {
    accepts: (value) => typeof value === 'string' && value in constants.signals,
    expected: "the name of a signal, such as 'SIGINT'",
  },
}

const ASGI: Record<keyof AsgiTarget, Rule> = {
  asgi: { accepts: isText, expected: "a module and an attribute, such as 'main:app'" },
  cwd,
  factory: flag,
  python: { accepts: isText, expected: 'the path of a Python interpreter' },
  env: RULES.env,
}

/** Checks a command or an ASGI app. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`. */
export function checkProgram(kind: 'command' | 'asgi', target: object): void {
  checkOptions(`{ ${kind} }`, target, kind === 'command' ? PROGRAM : ASGI)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Checks the options of `serve()` and fills in the defaults. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`. */
export function resolveOptions(options: ServeOptions): Settings {
  checkOptions('serve()', options, RULES)
  return { ...DEFAULTS, ...withoutUndefined(options) }
}

/** What fixtures are made with. Servers that others make are of the whole run as they are, and have no scope. */
export const FIXTURES = 'liveServer()'

/**
 * Checks the options of a server that a runner starts: those of `serve()`, but for the two that the runner sets, and `name`.
 * Throws `INVALID_OPTION` or `UNKNOWN_OPTION`.
 */
export function checkSharedOptions(caller: string, options: unknown): void {
  const { slot: _slot, workerId: _workerId, ...rules } = RULES
  // Only a fixture knows of tests and workers.
  const perTest = caller === FIXTURES && { lingering, restart, scope }
  checkOptions(caller, options, { ...rules, name: identifier, ...perTest })
}

/** Checks the options of `start()`: those of `serve()` that another process can be told, and the name. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`. */
export function checkStartOptions(options: unknown): void {
  const { slot: _slot, workerId: _workerId, ...rules } = RULES
  checkOptions('start()', options, { ...rules, name: heldName })
  if ((options as { name?: unknown }).name === undefined) {
    throw new PortzeroError(
      'INVALID_OPTION',
      `The option 'name' of start() is missing: ${heldName.expected}, by which others find the server.`,
    )
  }
}

/**
 * Checks the options of a server that another process starts: those of `serve()`, but for functions, and what that process sets; and
 * `more`. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`.
 */
export function checkPortableOptions(
  caller: string,
  options: unknown,
  more: Readonly<Record<string, Rule>>,
): void {
  const { slot: _slot, workerId: _workerId, ...rules } = RULES
  const isolation = {
    accepts: (value: unknown) => value === 'thread' || value === 'process',
    expected: "'thread' or 'process'",
  }
  const ready = {
    accepts: (value: unknown) => typeof value !== 'function' && RULES.ready.accepts(value),
    expected: "a path that starts with '/', or a pattern; a function cannot be handed over",
  }
  checkOptions(caller, options, { ...rules, isolation, ready, ...more })
}

/** Checks the options of `close()`. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`. */
export function checkCloseOptions(options: unknown): void {
  checkOptions('close()', options, { grace: milliseconds })
}

/** Checks the options of `idle()`. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`. */
export function checkIdleOptions(options: unknown): void {
  checkOptions('idle()', options, { timeout: milliseconds })
}

/** Checks the options of `restart()`. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`. */
export function checkRestartOptions(options: unknown): void {
  const app = {
    accepts: (value: unknown) => value === 'keep' || value === 'rebuild',
    expected: "'keep' or 'rebuild'",
  }
  checkOptions('restart()', options, { app, grace: milliseconds })
}

/** What a program is told of its place, as a factory is told `slot` and `workerId`. */
export function placeOf({ slot, workerId }: Settings): Record<string, string> {
  return { PORTZERO_SLOT: String(slot), PORTZERO_WORKER_ID: workerId }
}

function checkOptions(caller: string, options: unknown, rules: Record<string, Rule>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new PortzeroError(
      'INVALID_OPTION',
      `The options of ${caller} must be an object. Got ${describe(options)}.`,
    )
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule === undefined) {
      throw new PortzeroError(
        'UNKNOWN_OPTION',
        `${caller} has no option '${name}'. It has: ${listOf(Object.keys(rules))}.`,
      )
    }
    if (value !== undefined && !rule.accepts(value)) {
      throw new PortzeroError(
        'INVALID_OPTION',
        `The option '${name}' of ${caller} must be ${rule.expected}. Got ${describe(value)}.`,
      )
    }
  }
}

function withoutUndefined<T extends object>(
  options: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as { [K in keyof T]: Exclude<T[K], undefined> }
}
