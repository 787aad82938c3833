import { PortzeroError, messageOf } from '../errors.ts'
import { inWords } from '../in-words.ts'
import type { CloseReport } from '../types.ts'

/** Prints a line on stdout. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** Prints a value as a line of JSON on stdout. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value))
}

/** What is told of an error in JSON. */
export function asJson(error: unknown): { code: string; message: string } {
  const code = error instanceof PortzeroError ? error.code : 'ERROR'
  return { code, message: messageOf(error) }
}

/** Says how a server was closed, and what was in the way. One that had died was not killed by that. */
export function closedInWords(
  { outcome, durationMs, blockers }: CloseReport,
  hadDied: boolean,
): string {
  if (hadDied) return 'had died'
  const how = { graceful: 'closed', forced: 'closed by force', killed: 'killed' }[outcome]
  const inItsWay = blockers.length === 0 ? '' : `; in its way: ${blockers.map(inWords).join('; ')}`
  return `${how} after ${durationMs.toFixed(0)} ms${inItsWay}`
}
