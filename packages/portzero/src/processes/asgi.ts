import { resolve } from 'node:path'
import { describe, listOf } from '../describe.ts'
import { PortzeroError } from '../errors.ts'
import { SERVE_ASGI } from '../files.ts'
import type { Channel, Order, Report } from '../messages/channel.ts'
import { toWire } from '../messages/wire-error.ts'
import type { CloseReport } from '../types.ts'
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

/** What to spawn. Whoever does hands over the listening socket as descriptor 3, and a line for orders and reports as descriptor 4. */
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
  | AsgiCloseFailure
  | Extract<Report, { type: 'inFlight' | 'drained' | 'done' }>

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

/** Why the lifespan of the app could not be shut down. All is closed. */
interface AsgiCloseFailure {
  readonly type: 'closeFailed'
  /** Of the order that is answered so. */
  readonly id: number
  /** In Python's words. */
  readonly message: string
  readonly traceback: string
  readonly report: CloseReport
}

/** The interpreter for a target. Throws `PYTHON_MISSING`. */
export function pythonFor(target: AsgiTarget): Promise<string> {
  return findPython({ python: target.python, cwd: folderOf(target), env: environmentOf(target) })
}

/** Says what to spawn for a target. Throws `INVALID_TARGET` or `PYTHON_MISSING`. */
export async function asgiProcess(target: AsgiTarget): Promise<AsgiProcess> {
  const { asgi, factory = false } = target
  if (typeof asgi !== 'string' || !/^[^\s:]+:[^\s:]+$/.test(asgi)) {
    throw new PortzeroError(
      'INVALID_TARGET',
      `The 'asgi' of a target must name a module and the app in it, such as 'main:app'. Got ${describe(asgi)}.`,
    )
  }
  return {
    file: await pythonFor(target),
    args: [SERVE_ASGI, asgi, ...(factory ? ['factory'] : [])],
    cwd: folderOf(target),
    env: environmentOf(target),
  }
}

/** The line to a process that serves at this address, as the owner of any server has one. */
export function asgiChannel(
  line: Channel<Order, AsgiReport>,
  { port, url }: { readonly port: number; readonly url: string },
): Channel<Order, Report> {
  return {
    send: (order) => line.send(order),
    listen: (receive) => line.listen((report) => receive(translated(report))),
  }

  function translated(report: AsgiReport): Report {
    switch (report.type) {
      case 'listening':
        return { type: 'started', port, url, http2: false, ca: undefined }
      case 'failed':
        return { type: 'failed', error: toWire(explainAsgi(report)) }
      case 'closeFailed':
        return { type: 'refused', id: report.id, error: toWire(closeFailed(url, report)) }
      default:
        return report
    }
  }
}

/** Says what a failed start means and what to do about it. The Python traceback is the stack of its cause. */
export function explainAsgi(failure: AsgiFailure): PortzeroError {
  const { code, traceback, message } = failure
  if (traceback === undefined) return new PortzeroError(code, inWords(failure))
  return new PortzeroError(code, inWords(failure), { cause: raised(message, traceback) })
}

function closeFailed(url: string, { message, traceback, report }: AsgiCloseFailure): PortzeroError {
  return new PortzeroError(
    'CLOSE_FAILED',
    `The server at ${url} is closed, but its lifespan failed to shut down: ${message}`,
    { cause: raised(message, traceback), report },
  )
}

function raised(message: string, traceback: string): Error {
  const error = new Error(message)
  error.stack = traceback.trimEnd()
  return error
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
