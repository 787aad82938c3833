import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import { PortzeroError } from '../errors.ts'

/** A line that a shell runs, or a program and its arguments, which no shell sees. */
export type Command = string | readonly string[]

/** What is filled in where a command, or a value of its environment, says `{fd}`, `{port}`, `{host}` or `{url}`. */
export interface Placeholders {
  /** Number of the descriptor under which the program inherits the socket. */
  fd?: number
  port?: number
  host: string
  url?: string
}

/** A program and its arguments, as `spawn()` takes them. */
export interface Process {
  file: string
  args: string[]
  /** To be handed to `spawn()`: the line is quoted for the shell of Windows already. */
  windowsVerbatimArguments?: true
}

type Environment = Readonly<Record<string, string | undefined>>

// Not the variable ${port} of a shell, nor the {{port}} of a template.
const PLACEHOLDER = /(?<![${])\{(fd|port|host|url)\}/g

/** Says which placeholders stand in a command and in the values of its environment. */
export function placeholdersIn(command: Command, env: Environment = {}): Set<keyof Placeholders> {
  const texts = [...wordsOrLine(command), ...Object.values(env)]
  const names = texts.flatMap((text = '') =>
    [...text.matchAll(PLACEHOLDER)].map(([, name]) => name),
  )
  return new Set(names as (keyof Placeholders)[])
}

/** Fills in the placeholders of a text; all other braces stay as they are. Throws `INVALID_TARGET` for one without a value. */
export function fillIn(text: string, values: Placeholders): string {
  return text.replaceAll(PLACEHOLDER, (placeholder, name: keyof Placeholders) => {
    const value = values[name]
    if (value !== undefined) return String(value)
    const known = Object.entries(values).flatMap(([key, given]) =>
      given === undefined ? [] : [`{${key}}`],
    )
    throw new PortzeroError(
      'INVALID_TARGET',
      `There is no value for ${placeholder} in the command. Use ${known.join(' or ')}.`,
    )
  })
}

// What means to a shell what it says. An '=' is plain too, but for the first word, where it sets a variable.
const PLAIN = /^[\w@%+:,./-]+(?:[ \t]+[\w@%+=:,./-]+)*$/

// What a shell understands, and no program does.
const SHELL_WORDS: ReadonlySet<string> = new Set(
  (
    '. : alias bg break builtin case cd command continue coproc declare do done elif else esac eval exec exit export fg fi for ' +
    'function getopts hash if in jobs let local read readonly return select set shift source then time times trap type ulimit ' +
    'umask unalias unset until wait while'
  ).split(' '),
)

/**
 * Says how to spawn a command. A line that needs no shell gets none: one process less to start, to signal and to wait for.
 * Throws `INVALID_TARGET` for an empty one.
 */
export function toProcess(command: Command): Process {
  if (typeof command !== 'string') return fromWords(command)
  const line = command.trim()
  if (process.platform === 'win32' && line !== '') {
    // Programs are often batch files there, which only the shell can start. The quotes are those that /s takes off.
    const file = process.env['ComSpec'] ?? 'cmd.exe'
    return { file, args: ['/d', '/s', '/c', `"${line}"`], windowsVerbatimArguments: true }
  }
  const words = line.split(/[ \t]+/)
  const needsShell = !PLAIN.test(line) || SHELL_WORDS.has(words[0] ?? '')
  return needsShell && line !== '' ? { file: '/bin/sh', args: ['-c', line] } : fromWords(words)
}

function fromWords([file, ...args]: readonly string[]): Process {
  if (file !== undefined && file !== '') return { file, args }
  throw new PortzeroError(
    'INVALID_TARGET',
    "The command is empty. Give a line such as 'npm start', or a list such as ['node', 'server.js'].",
  )
}

/** A PATH that finds what is installed for a folder: `node_modules/.bin` there and in its parents come first, as with npm. */
export function pathWithBins(cwd: string, PATH: string | undefined): string {
  const folders: string[] = []
  for (let folder = path.resolve(cwd); ; folder = path.dirname(folder)) {
    folders.push(path.join(folder, 'node_modules', '.bin'))
    if (folder === path.dirname(folder)) break
  }
  // An empty entry would stand for the current folder.
  if (PATH !== undefined && PATH !== '') folders.push(PATH)
  return folders.join(path.delimiter)
}

const NODE_PROGRAMS: ReadonlySet<string> = new Set(
  'node nodejs npm npx pnpm pnpx yarn yarnpkg corepack'.split(' '),
)

// `#!/usr/bin/env node`, `#!/usr/bin/env -S node --flag`, `#!/usr/local/bin/node`
const NODE_SCRIPT =
  /^#![ \t]*(?:\S*\/)?(?:env[ \t]+(?:-S[ \t]*)?(?:\w+=\S*[ \t]+)*(?:\S*\/)?)?node(?:js)?(?:\s|$)/

// What pnpm, and on Windows npm, write to node_modules/.bin in place of a link.
const NODE_SHIM = /^#!\S*\/sh\s[^]*^\s*exec +(?:node|"\$basedir\/node") /m

/**
 * A best guess whether a command is a Node program: its first word is Node, a package manager, or a script for Node that
 * `PATH` finds. False if that cannot be told.
 */
export function runsNode(command: Command, cwd: string, PATH: string | undefined): boolean {
  const program = programOf(command)
  if (program === undefined) return false
  if (NODE_PROGRAMS.has(path.basename(program).replace(/\.(?:exe|cmd)$/i, ''))) return true
  const file = findProgram(program, cwd, PATH)
  if (file === undefined) return false
  const head = beginningOf(file)
  return NODE_SCRIPT.test(head) || NODE_SHIM.test(head)
}

/** The program that a command starts first: its first word behind variables that are set for it, `env` and `exec`. */
function programOf(command: Command): string | undefined {
  if (typeof command !== 'string') return command[0]
  const line = command
    .trim()
    .replace(/^(?:(?:env|exec|\w+=(?:"[^"]*"|'[^']*'|[^\s"'`$();&|<>]*))[ \t]+)+/, '')
  const [, double, single, plain] =
    /^(?:"([^"$`\\]+)"|'([^']+)'|([^\s"'`$();&|<>*?]+))(?=\s|$|[;&|<>])/.exec(line) ?? []
  return double ?? single ?? plain
}

/** Where a program is, by its name or path. */
export function findProgram(name: string, cwd: string, PATH = ''): string | undefined {
  // An empty entry of PATH stands for the current folder.
  const folders = name.includes('/') || name.includes(path.sep) ? [''] : PATH.split(path.delimiter)
  return folders.map((folder) => path.resolve(cwd, folder, name)).find(isProgram)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

function beginningOf(file: string): string {
  const buffer = Buffer.alloc(4096)
  let opened: number | undefined
  try {
    opened = openSync(file, 'r')
    return buffer.toString('latin1', 0, readSync(opened, buffer))
  } catch {
    return ''
  } finally {
    if (opened !== undefined) closeSync(opened)
  }
}

function wordsOrLine(command: Command): readonly string[] {
  return typeof command === 'string' ? [command] : command
}
