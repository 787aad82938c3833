import { existsSync } from 'node:fs'
import { findProgram, toProcess } from '../processes/command-line.ts'

/** What a shell ends with where it finds no such command, and where it may not run it. */
const NOT_FOUND = 127
const NOT_RUNNABLE = 126

/** A command that cannot be run. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.exitCode = exitCode
  }
}

/**
 * The program and arguments of a command that stands behind `--`. One word that is no program and has spaces is a line for the shell.
 * Throws a {@link CommandError} for what is not there.
 */
export function toWords(command: readonly string[], PATH: string): string[] {
  const [first = ''] = command
  const isLine = command.length === 1 && /\s/.test(first.trim())
  const found = findProgram(first, process.cwd(), PATH)
  if (isLine && found === undefined) {
    const { file, args } = toProcess(first)
    return toWords([file, ...args], PATH)
  }
  // On Windows a name may stand for a file with an extension.
  if (found !== undefined || process.platform === 'win32') return [...command]
  throw cannotRun(first, first.includes('/') && existsSync(first) ? 'EACCES' : 'ENOENT')
}

/** Says what the error of a spawn means. */
export function cannotRun(name: string, code: string | undefined): CommandError {
  if (code === 'ENOENT') {
    return new CommandError(
      `The command '${name}' was not found. Is it installed, and on the PATH?`,
      NOT_FOUND,
    )
  }
  return new CommandError(
    `The command '${name}' cannot be run (${code}). Is it a program that you may execute?`,
    NOT_RUNNABLE,
  )
}
