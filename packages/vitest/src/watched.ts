import { realpathSync } from 'node:fs'
import type { KeptServer } from './kept-server.ts'
import type { Vitest } from 'vitest/node'

type Trigger = NonNullable<Vitest['config']['watchTriggerPatterns']>[number]

/**
 * Has a change in what a server has loaded run the tests of its projects again, as a change in what they import does. While one is
 * down, so does any other source: the one that it could not find may have come.
 */
export function changesIn(
  servers: () => readonly KeptServer[],
  isTesting: () => boolean,
  vitest: Vitest,
): Trigger {
  return {
    pattern: /^/,
    testsToRun: (changed) => {
      const file = realPath(changed)
      // What tests write is no edit.
      const isEdit = !isTesting()
      const affected = servers().filter(
        (server) => server.dependsOn(file) || (isEdit && server.isDown && isSource(file)),
      )
      if (affected.length === 0) return undefined
      for (const server of affected) server.note(file)
      alsoInGraph(vitest, changed)
      return testsOf(affected, vitest)
    },
  }
}

/** Vitest looks no further when a pattern matches; but the tests may import the same file, and must not get the old one. */
function alsoInGraph({ watcher }: Vitest, file: string): void {
  const { handleFileChanged } = watcher as unknown as {
    handleFileChanged?(file: string): boolean
  }
  handleFileChanged?.call(watcher, file)
}

function testsOf(servers: readonly KeptServer[], vitest: Vitest): string[] {
  const projects = new Set(servers.flatMap(({ projects: users }) => [...users]))
  // What the root project provides, all have.
  const isForAll = [...projects].some((project) => project.isRootProject())
  const names = new Set([...projects].map(({ name }) => name))
  return vitest.state
    .getFiles()
    .filter(({ projectName = '' }) => isForAll || names.has(projectName))
    .map(({ filepath }) => filepath)
}

function isSource(file: string): boolean {
  return /\.(?:[cm]?[jt]sx?|json|node|wasm|py)$/.test(file) && !file.includes('/node_modules/')
}

/** As the loaders of Node tell it. */
function realPath(file: string): string {
  try {
    return realpathSync(file)
  } catch {
    return file
  }
}
