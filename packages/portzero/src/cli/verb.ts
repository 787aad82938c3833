import type { ParseArgsConfig } from 'node:util'
import { parse } from './usage.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** What every verb takes. */
const COMMON = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** What the options of a verb, and those that every verb takes, are set to. */
export type Values<Own extends Options> = ReturnType<
  typeof parse<{ options: Own & typeof COMMON }>
>['values']

/** Takes what follows the verb on the command line, and resolves to the exit code. Throws a `UsageError`. */
export type Run = (args: readonly string[]) => Promise<number>

/** What one verb is asked with. */
interface Face<Own extends Options> {
  readonly help: string
  readonly options: Own
  /** @default true */
  readonly allowPositionals?: boolean
}

/** A verb that prints its help if that is asked for, and else does what `act` does. */
export function verb<const Own extends Options>(
  { help, options, allowPositionals = true }: Face<Own>,
  act: (values: Values<Own>, positionals: string[]) => Promise<number>,
): Run {
  const all = { ...options, ...COMMON }
  return async (args) => {
    const { values, positionals } = parse({ args: [...args], options: all, allowPositionals })
    // The compiler does not see through the options of any verb.
    if ('help' in values && values.help) {
      process.stdout.write(help)
      return 0
    }
    return act(values, positionals)
  }
}
