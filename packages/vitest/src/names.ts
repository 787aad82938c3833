import { PortzeroError } from 'portzero'
import type { Definition } from 'portzero/shared'
import { mixesNames } from './worker.ts'

const defined: Definition[] = []

/** Keeps a definition for the comparison with others. Throws as {@link refuseNamesake} does. */
export function remember(definition: Definition): void {
  defined.push(definition)
  refuseNamesake(definition)
}

/**
 * Before 4.1, Vitest knows the fixtures of a worker by their names alone: a test that asks for `server` may be given that of
 * another app, which nobody would notice. Throws `INVALID_OPTION` there if another app has the same name.
 */
export function refuseNamesake({ name, target }: Definition): void {
  if (!mixesNames()) return
  const others = defined.filter((other) => other.name === name)
  if (others.every((other) => isSame(other.target, target))) return
  throw new PortzeroError(
    'INVALID_OPTION',
    `Different servers are named '${name}' in one worker, and this version of Vitest would take one for the other. ` +
      "Give each another name with the option 'name', or update Vitest to 4.1.",
  )
}

// A function that is defined anew in each file is another one each time.
function isSame(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'function' && String(a) === String(b))
}
