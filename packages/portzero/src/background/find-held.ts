import { describe, listOf } from '../describe.ts'
import { PortzeroError } from '../errors.ts'
import { NAME } from '../options.ts'
import type { HeldRecord, Registry } from './registry.ts'

/** What is noted of the server of a name, those aside that test runners share among their workers. Throws `NOT_RUNNING`, or `INVALID_OPTION` for what is no name. */
export function findHeld(registry: Registry, name: unknown): HeldRecord {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new PortzeroError(
      'INVALID_OPTION',
      `A server in the background is found by its name, of at most 64 letters, digits, '.', '_' and '-' that begins with a letter or digit. Got ${describe(name)}.`,
    )
  }
  const record = named(registry).find((one) => one.name === name)
  if (record === undefined) throw notRunning(name, registry)
  return record
}

/** Says what runs instead. */
export function notRunning(name: string, registry: Registry): PortzeroError {
  const names = named(registry).map((record) => record.name)
  const running = names.length === 0 ? 'None does.' : `Those that do: ${listOf(names)}.`
  return new PortzeroError(
    'NOT_RUNNING',
    `No server named '${name}' runs in the background. ${running} Start it with start(), or with \`portzero start\`.`,
  )
}

function named(registry: Registry): HeldRecord[] {
  return registry.list().filter(({ scope }) => scope === undefined)
}
