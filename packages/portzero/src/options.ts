import { PortzeroError } from './errors.ts'
import type { ServeOptions } from './types.ts'
import { describe, listOf } from './describe.ts'

/** Options of `serve()` with every default filled in. */
export interface Settings {
  readonly host: string
  readonly port: number
  readonly https: boolean
  readonly http2: boolean
  readonly ready: ServeOptions['ready']
  readonly startTimeout: number
  readonly grace: number
  readonly slot: number
  readonly workerId: string
}

/** What holds where an option is left out. */
export const DEFAULTS: Settings = {
  host: '127.0.0.1',
  port: 0,
  https: false,
  http2: false,
  ready: undefined,
  startTimeout: 30_000,
  grace: 1_000,
  slot: 0,
  workerId: String(process.pid),
}

// The longest delay that a timer of Node's keeps: a longer one would fire at once.
const LONGEST = 2 ** 31 - 1

interface Rule {
  accepts(value: unknown): boolean
  expected: string
}

const milliseconds: Rule = {
  accepts: (value) => typeof value === 'number' && value >= 0 && value <= LONGEST,
  expected: `a number of milliseconds from 0 to ${LONGEST}`,
}

const flag: Rule = { accepts: (value) => typeof value === 'boolean', expected: 'true or false' }

const identifier: Rule = {
  accepts: (value) => typeof value === 'string' && /^[A-Za-z_$][\w$]*$/.test(value),
  expected: "a name that can stand in ({ name }) => …, such as 'api'",
}

const lingering: Rule = {
  accepts: (value) => value === 'wait' || value === 'warn' || value === 'fail',
  expected: "'wait', 'warn' or 'fail'",
}

const RULES: Record<keyof ServeOptions, Rule> = {
  isolation: {
    accepts: (value) => value === 'inline',
    expected: "'inline'; this version runs apps in this process only",
  },
  host: {
    accepts: (value) => typeof value === 'string' && value !== '',
    expected: "an address or host name, such as '127.0.0.1'",
  },
  port: {
    accepts: (value) => isWhole(value) && value <= 65_535,
    expected: 'a whole number from 0 to 65535, where 0 picks a free port',
  },
  https: flag,
  http2: flag,
  ready: {
    accepts: (value) =>
      typeof value === 'function' || (typeof value === 'string' && value.startsWith('/')),
    expected: "a path that starts with '/', or a function",
  },
  startTimeout: milliseconds,
  grace: milliseconds,
  slot: { accepts: isWhole, expected: 'a whole number from 0' },
  workerId: { accepts: (value) => typeof value === 'string', expected: 'a string' },
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Checks the options of `serve()` and fills in the defaults. Throws `INVALID_OPTION` or `UNKNOWN_OPTION`. */
export function resolveOptions(options: ServeOptions): Settings {
  checkOptions('serve()', options, RULES)
  return { ...DEFAULTS, ...withoutUndefined(options) }
}

/**
 * Checks the options of a server that a runner starts: those of `serve()`, but for the two that the runner sets, and `name`.
 * Throws `INVALID_OPTION` or `UNKNOWN_OPTION`.
 */
export function checkSharedOptions(caller: string, options: unknown): void {
  const { slot: _slot, workerId: _workerId, ...rules } = RULES
  checkOptions(caller, options, { ...rules, name: identifier, lingering })
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
