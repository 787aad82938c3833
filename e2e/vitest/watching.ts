import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { readFile, writeFile } from 'node:fs/promises'
import { onTestFailed } from 'vitest'
import { clean, copyProject } from '../run-project.ts'

/** Vitest in watch mode, on a copy of a project. Disposing of it ends it, and removes the copy. */
export interface Watching extends AsyncDisposable {
  readonly folder: string
  /** Resolves to what it prints from the last call on, when it waits for changes again. */
  settled(): Promise<string>
  /** Resolves when it has printed this since the last `settled()`. */
  prints(text: RegExp): Promise<RegExpExecArray>
  edit(file: string, change: (text: string) => string): Promise<void>
  /** Ends it with a signal, and resolves when it has exited. */
  end(signal: NodeJS.Signals): Promise<void>
}

/** How long one run of the tests may take, in ms. */
const LIMIT = 60_000

const program = join(import.meta.dirname, '../../node_modules/vitest/vitest.mjs')

/** Runs a project of `fixtures/projects` in watch mode. */
export async function watchVitest(
  project: string,
  args: readonly string[] = [],
): Promise<Watching> {
  const { folder, remove } = await copyProject(project)
  const child = spawn(process.execPath, [program, 'watch', ...args], {
    cwd: folder,
    env: clean(process.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  let all = ''
  let from = 0
  const heard = new Set<() => void>()
  const hear = (text: string): void => {
    all += stripVTControlCharacters(text)
    for (const look of heard) look()
  }
  child.stdout.setEncoding('utf8').on('data', hear)
  child.stderr.setEncoding('utf8').on('data', hear)
  onTestFailed(() => console.error(all))

  const prints = (text: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => end(() => reject(new Error(`It has not printed ${text}.`))),
        LIMIT,
      )
      const end = (settle: () => void): void => {
        clearTimeout(timer)
        heard.delete(look)
        settle()
      }
      const look = (): void => {
        const found = text.exec(all.slice(from))
        if (found !== null) end(() => resolve(found))
      }
      heard.add(look)
      void exited.then(() =>
        end(() => reject(new Error(`It has ended before it printed ${text}.`))),
      )
      look()
    })
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal)
    await exited
  }
  return {
    folder,
    prints,
    end,
    settled: async () => {
      const { index } = await prints(/(?:Waiting|Watching) for file changes/)
      const printed = all.slice(from, from + index)
      from += index + 1
      return printed
    },
    edit: async (file, change) => {
      const path = join(folder, file)
      const text = await readFile(path, 'utf8').catch(() => '')
      await writeFile(path, change(text))
    },
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL')
      await remove()
    },
  }
}
