import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { describe, listOf } from './describe.ts'
import { PortzeroError } from './errors.ts'
import { SERVE_ASGI } from './files.ts'
import { findPython } from './python.ts'

/** A Python app that is served by uvicorn in a process of its own: FastAPI, Starlette, Django's ASGI, Litestar. */
export interface AsgiTarget {
  /** The module and what it calls the app, such as `'main:app'`; dots lead further: `'shop.web:api.app'`. */
  readonly asgi: string
  /**
   * Take what `asgi` names for a function that builds the app.
   * @default uvicorn finds out, and says so in its log
   */
  readonly factory?: boolean | undefined
  /**
   * Where the module is imported from, and the process runs.
   * @default process.cwd()
   */
  readonly cwd?: string | undefined
  /**
   * The interpreter: a path, from `cwd`, or a name that is on the `PATH`.
   * @default that of the active virtual environment, of a `.venv` or `venv` in `cwd` or above, or the first on the `PATH`
   */
  readonly python?: string | undefined
  /** Added to the environment of the process. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** What to spawn. Whoever does hands over the listening socket as descriptor 3, and a channel for reports as descriptor 4. */
export interface AsgiProcess {
  readonly file: string
  readonly args: string[]
  readonly cwd: string
  readonly env: Record<string, string | undefined>
}

/** What the process tells. */
export type AsgiReport =
  /** The app is started, and what waits on the socket is answered. */
  | { readonly type: 'listening'; readonly pid: number }
  | AsgiFailure
  /** It was told to stop, and answers nobody any more; this was cut off for that. */
  | { readonly type: 'drained'; readonly cut: readonly AsgiBlocker[] }
  /** Its lifespan is shut down; with the traceback if that failed. The end of the process is next. */
  | { readonly type: 'stopped'; readonly error: string | null }

/** Why the app could not be started. The process ends with code 3. */
export interface AsgiFailure {
  readonly type: 'failed'
  readonly code: 'PYTHON_MODULE_MISSING' | 'APP_NOT_FOUND' | 'APP_FAILED' | 'LIFESPAN_FAILED'
  /** In Python's words. */
  readonly message: string
  readonly traceback?: string
  /** With `APP_NOT_FOUND`: what is there instead and may be meant. */
  readonly names?: readonly string[]
  /** With `PYTHON_MODULE_MISSING`: which. */
  readonly module?: string
  /** The app as it was asked for. */
  readonly app: string
  readonly cwd: string
  readonly python: string
}

/** A request that was in flight when the grace was over. */
export interface AsgiBlocker {
  readonly kind: 'http' | 'websocket'
  readonly method: string
  readonly path: string
  readonly ageMs: number
}

/** The interpreter for a target. Throws `PYTHON_MISSING`. */
export function pythonFor(target: AsgiTarget): Promise<string> {
  return findPython({ python: target.python, cwd: folderOf(target), env: environmentOf(target) })
}

/**
 * Says what to spawn for a target. SIGTERM stops it: what is in flight gets `graceMs`, then the app is shut down, and the
 * process ends with code 0. Throws `INVALID_TARGET` or `PYTHON_MISSING`.
 */
export async function asgiProcess(
  target: AsgiTarget,
  { graceMs }: { readonly graceMs: number },
): Promise<AsgiProcess> {
  const { asgi, factory = false } = target
  if (typeof asgi !== 'string' || !/^[^\s:]+:[^\s:]+$/.test(asgi)) {
    throw new PortzeroError(
      'INVALID_TARGET',
      `The 'asgi' of a target must name a module and the app in it, such as 'main:app'. Got ${describe(asgi)}.`,
    )
  }
  return {
    file: await pythonFor(target),
    args: [SERVE_ASGI, asgi, String(graceMs), ...(factory ? ['factory'] : [])],
    cwd: folderOf(target),
    env: environmentOf(target),
  }
}

/** Reads the reports of a process from its descriptor 4, to the end of it. */
export async function* reportsFrom(channel: Readable): AsyncGenerator<AsgiReport, void> {
  for await (const line of createInterface({ input: channel })) yield JSON.parse(line) as AsgiReport
}

/** Says what a failed start means and what to do about it. The Python traceback is the stack of its cause. */
export function explainAsgi(failure: AsgiFailure): PortzeroError {
  const { code, traceback, message } = failure
  if (traceback === undefined) return new PortzeroError(code, inWords(failure))
  const cause = new Error(message)
  cause.stack = traceback.trimEnd()
  return new PortzeroError(code, inWords(failure), { cause })
}

function inWords({ code, message, names, module, app, cwd, python }: AsgiFailure): string {
  switch (code) {
    case 'PYTHON_MODULE_MISSING':
      return `An ASGI app is served by uvicorn, and ${python} cannot import it: ${message}. Install it with \`${python} -m pip install ${module ?? 'uvicorn'}\`, or name the interpreter that has it with the target's 'python'.`
    case 'APP_NOT_FOUND':
      return `There is no app '${app}' in ${cwd}: ${message}. ${names === undefined ? "The module is imported from the target's 'cwd'." : instead(names)}`
    case 'APP_FAILED':
      return `The app '${app}' failed while it was loaded: ${message}`
    case 'LIFESPAN_FAILED':
      return `The app '${app}' failed to start, in its lifespan: ${message}`
  }
}

function instead(names: readonly string[]): string {
  return names.length === 0 ? 'It has nothing that may be an app.' : `It has: ${listOf(names)}.`
}

function folderOf(target: AsgiTarget): string {
  return resolve(target.cwd ?? '')
}

function environmentOf(target: AsgiTarget): Record<string, string | undefined> {
  // Else what the app prints is held back until its pipe is full.
  return { PYTHONUNBUFFERED: '1', ...process.env, ...target.env }
}
