import { listOf } from '../describe.ts'
import { UsageError } from './usage.ts'

/** The one name on a command line. Throws a `UsageError`. */
export function oneName(names: readonly string[]): string {
  const [name, ...more] = names
  if (name === undefined) throw new UsageError('Say which server: portzero list tells their names.')
  if (more.length === 0) return name
  throw new UsageError(`One name is taken; got ${names.length}: ${listOf(names)}.`)
}
