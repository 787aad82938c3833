import { accessSync, constants, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { PortzeroError } from '../errors.ts'
import type { Target } from '../types.ts'

/** What Node and its loaders take for a module. */
const MODULE = /\.[cm]?[jt]sx?$/

/**
 * Reads a target from a command line, relative to `cwd`:
 * `asgi:main:app` is an ASGI app; an existing file, or what looks like a path (`./`, `../`, `/`, `file:`), a module, or a program if its
 * name is not that of a module; anything else a command. Throws `INVALID_TARGET` for a path at which there is no file.
 */
export function parseTarget(text: string, cwd: string): Target {
  if (text.trim() === '') throw nothing()
  if (text.startsWith('asgi:')) return { asgi: text.slice('asgi:'.length), cwd }
  const path = text.startsWith('file:') ? fileURLToPath(text) : resolve(cwd, text)
  const hasSpace = /\s/.test(text)
  if (isFile(path)) {
    return MODULE.test(path) ? pathToFileURL(path) : { command: [runnable(path)], cwd }
  }
  if (!hasSpace && /^(?:\.{1,2}\/|\/|file:)/.test(text)) throw noFile(path)
  return { command: text, cwd }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

function runnable(path: string): string {
  try {
    accessSync(path, constants.X_OK)
    return path
  } catch (cause) {
    throw new PortzeroError(
      'INVALID_TARGET',
      `${path} is neither a module (.js, .ts, …) nor a program that may be run. Say what runs it, such as 'python ${path}', or make it executable.`,
      { cause },
    )
  }
}

function noFile(path: string): PortzeroError {
  return new PortzeroError(
    'INVALID_TARGET',
    `There is no file at ${path}. A target is a module (./src/server.ts), a command in quotes ('npm start'), or an ASGI app (asgi:main:app).`,
  )
}

function nothing(): PortzeroError {
  return new PortzeroError(
    'INVALID_TARGET',
    "The target is empty. Give a module (./src/server.ts), a command in quotes ('npm start'), or an ASGI app (asgi:main:app).",
  )
}
