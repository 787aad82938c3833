import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'

/** Where the runs of a project note the servers that they share. */
export function stateIn(folder: string): string {
  return join(folder, 'state')
}

/** Nothing is noted any more once no run goes on. */
export function expectNothingNoted(folder: string): void {
  const state = stateIn(folder)
  expect(existsSync(state) ? readdirSync(state) : []).toEqual([])
}
