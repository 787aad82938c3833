// A globalSetup file of Vitest's, which the plugin adds to the projects: what it returns is awaited at the end, and it runs only for tests.
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'

/** Starts a server for a project, and resolves to what ends that use of it. */
export type Begin = () => Promise<() => Promise<void>>

type Handover = WeakMap<TestProject, Begin[]>

/** Vitest may load this module anew, so that its own variables are not those that the plugin has set. */
const KEY = Symbol.for('@portzero/vitest plugin')

/** Has the setup of a project call `begin`. */
export function handOver(project: TestProject, begin: Begin): void {
  const held = handover()
  held.set(project, [...(held.get(project) ?? []), begin])
  const file = fileURLToPath(import.meta.url)
  const files = [project.config.globalSetup].flat()
  if (!files.includes(file)) project.config.globalSetup = [...files, file]
}

/**
 * Starts all servers of a project. Those that have started are closed if another one fails.
 * @public for Vitest
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const ends: (() => Promise<void>)[] = []
  const end = async (): Promise<void> => {
    for (const one of ends.splice(0).toReversed()) await one()
  }
  try {
    for (const begin of handover().get(project) ?? []) ends.push(await begin())
  } catch (error) {
    await end().catch((besides: unknown) => console.warn(besides))
    throw error
  }
  return end
}

function handover(): Handover {
  const holder = globalThis as { [KEY]?: Handover }
  return (holder[KEY] ??= new WeakMap())
}
