import { inspect, types } from 'node:util'
import type { CloseReport } from './types.ts'

/**
 * What went wrong, for programs. Stable: a code is never renamed.
 *
 * | code | meaning |
 * |---|---|
 * | `INVALID_TARGET` | the target, or what the factory or module gave, is of no known kind |
 * | `RESPONSE_FROM_FACTORY` | a bare `(request) => Response` was handed over where a factory is expected |
 * | `AMBIGUOUS_TARGET` | a factory started one server and returned another app |
 * | `INVALID_OPTION` | an option has the wrong type, is out of range, or is not for this app |
 * | `UNKNOWN_OPTION` | there is no option of that name |
 * | `PORT_IN_USE` | the `port` asked for is taken |
 * | `LISTEN_FAILED` | the address could not be bound for another reason |
 * | `FACTORY_FAILED` | the factory threw, or the app threw while it started |
 * | `MODULE_FAILED` | the module could not be found, or threw while it was loaded |
 * | `NOTHING_LISTENED` | the target was loaded, gave no app, and started no server |
 * | `START_TIMEOUT` | the start took longer than `startTimeout` |
 * | `START_FAILED` | the thread, process or program of the server ended before it listened |
 * | `SERVER_DIED` | it ended later, without being told to |
 * | `PYTHON_MISSING` | no Python interpreter was found for an ASGI app |
 * | `PYTHON_MODULE_MISSING` | the interpreter has no uvicorn, or uvicorn lacks what it needs |
 * | `APP_NOT_FOUND` | the Python module of an ASGI app, or what it should call the app, is not there |
 * | `APP_FAILED` | the Python module of an ASGI app, or its factory, raised |
 * | `LIFESPAN_FAILED` | the lifespan of an ASGI app failed when it was started |
 * | `NOT_READY` | the server listens, but its `ready` check failed |
 * | `NOT_IDLE` | requests were still in flight when `idle()` stopped waiting |
 * | `LINGERING` | a test ended while requests that it made were still running |
 * | `RUNNER_TOO_OLD` | the version of the test runner lacks what is needed |
 * | `NO_WEB_SERVER` | the run has no web server of that name |
 * | `SERVER_CLOSED` | the server was used after its closing began |
 * | `NOT_RUNNING` | no server of that name runs in the background, or for all tests of a run |
 * | `NAME_TAKEN` | a server of that name runs in the background already, or is being started |
 * | `STATE_DIR_UNSAFE` | the directory that keeps what runs in the background is not this user's alone |
 * | `STATE_DIR_FAILED` | that directory cannot be made, read or written |
 * | `CLOSE_FAILED` | all was closed, but a close hook threw |
 */
export type ErrorCode =
  | 'INVALID_TARGET'
  | 'RESPONSE_FROM_FACTORY'
  | 'AMBIGUOUS_TARGET'
  | 'INVALID_OPTION'
  | 'UNKNOWN_OPTION'
  | 'PORT_IN_USE'
  | 'LISTEN_FAILED'
  | 'FACTORY_FAILED'
  | 'MODULE_FAILED'
  | 'NOTHING_LISTENED'
  | 'START_TIMEOUT'
  | 'START_FAILED'
  | 'SERVER_DIED'
  | 'PYTHON_MISSING'
  | 'PYTHON_MODULE_MISSING'
  | 'APP_NOT_FOUND'
  | 'APP_FAILED'
  | 'LIFESPAN_FAILED'
  | 'NOT_READY'
  | 'NOT_IDLE'
  | 'LINGERING'
  | 'RUNNER_TOO_OLD'
  | 'NO_WEB_SERVER'
  | 'SERVER_CLOSED'
  | 'NOT_RUNNING'
  | 'NAME_TAKEN'
  | 'STATE_DIR_UNSAFE'
  | 'STATE_DIR_FAILED'
  | 'CLOSE_FAILED'

interface ErrorDetails {
  cause?: unknown
  report?: CloseReport
}

/** Every error that portzero throws. `code` says which; `cause` is the error behind it, where there is one. */
export class PortzeroError extends Error {
  readonly code: ErrorCode
  /** With `CLOSE_FAILED`: how the closing went otherwise. */
  // Only declared: else each error would have it, and runners print what one has.
  declare readonly report?: CloseReport

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.name = `PortzeroError [${code}]`
    this.code = code
    if (details.report !== undefined) this.report = details.report
  }
}

/** The message of anything that was thrown. Never throws itself, as the message, or what makes one, may. */
export function messageOf(thrown: unknown): string {
  try {
    if (typeof thrown === 'string') return thrown
    if (!types.isNativeError(thrown) && !(thrown instanceof Error)) return inspect(thrown, INLINE)
    // What has tried several addresses of a host, as Node does for localhost, says nothing of its own.
    const { message, errors } = thrown as { message: unknown; errors?: unknown }
    if (message === '' && Array.isArray(errors)) return errors.map(messageOf).join('; ')
    return message === '' ? String(thrown) : String(message)
  } catch {
    return 'what was thrown cannot be put into words'
  }
}

/** In one line, and briefly. */
const INLINE = { depth: 1, breakLength: Infinity }
