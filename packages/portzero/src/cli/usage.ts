import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'
import { describe } from '../describe.ts'
import { messageOf } from '../errors.ts'

/** Where more is told; the verb follows. */
export const USAGE = 'Usage: '

/** The command line is wrong: nothing was begun. It ends with exit code 2. */
export class UsageError extends Error {}

/** `parseArgs` of Node, which throws a {@link UsageError} for what it does not know. */
export function parse<Config extends ParseArgsConfig>(
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config)
  } catch (error) {
    // It goes on about arguments that begin with a dash, which none of ours do.
    throw new UsageError(messageOf(error).replace(/\. To specify a positional.*$/s, '.'))
  }
}

/** The whole number of an option; undefined if that was left out. Throws a {@link UsageError}. */
export function wholeNumber(
  option: string,
  text: string | undefined,
  unit: string,
): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new UsageError(`--${option} must be ${unit}. Got ${describe(text)}.`)
}

/** The value of `--ready`: a path, or a pattern. Throws a {@link UsageError}. */
export function readyOf(text: string): string | RegExp {
  if (text.startsWith('/')) return text
  try {
    return new RegExp(text)
  } catch (cause) {
    throw new UsageError(
      `--ready must be a path that starts with '/', or a regular expression that a line of output matches. Got ${describe(text)}.`,
      { cause },
    )
  }
}

/** The variables of `--env NAME=value`. Throws a {@link UsageError}. */
export function variables(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text) => {
    const [name, value] = splitAtEquals(text)
    if (name !== '' && value !== undefined) return [name, value] as const
    throw new UsageError(`--env must be NAME=value. Got ${describe(text)}.`)
  })
  return Object.fromEntries(pairs)
}

/** What comes before the first `=`, and behind it, if there is one. */
export function splitAtEquals(text: string): [string, string | undefined] {
  const at = text.indexOf('=')
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
