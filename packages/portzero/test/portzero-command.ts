import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export const PROGRAM: string = fileURLToPath(new URL('../bin/portzero.cjs', import.meta.url))

/** Where the small programs are that the tests of the command use. */
export function program(name: string): string {
  return fileURLToPath(new URL(`../../../fixtures/command/${name}`, import.meta.url))
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

interface Options {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** `portzero` as a process of its own, which is killed if the test ends before it. */
export function startPortzero(
  args: readonly string[],
  { cwd, env = {} }: Options = {},
): { child: ChildProcessByStdio<null, Readable, Readable>; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = (async (): Promise<Ended> => {
    const [[code, signal], stdout, stderr] = await Promise.all([
      once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>,
      text(child.stdout),
      text(child.stderr),
    ])
    return { code, signal, stdout, stderr }
  })()
  return { child, ended }
}

export function portzero(args: readonly string[], options?: Options): Promise<Ended> {
  return startPortzero(args, options).ended
}

/** Resolves when `stream` has printed what matches, to the match. Rejects if it ends without. */
export function printed(stream: Readable, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let all = ''
    const look = (chunk: string | Buffer): void => {
      all += String(chunk)
      const match = pattern.exec(all)
      if (match === null) return
      stream.off('data', look)
      resolve(match)
    }
    stream.on('data', look)
    stream.once('end', () => reject(new Error(`It printed only: ${all}`)))
  })
}
