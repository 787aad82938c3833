import { settlesWithin } from './deadline.ts'
import { messageOf } from './errors.ts'
import { Live } from './live-server.ts'
import { resolveOptions } from './options.ts'
import type { Settings } from './options.ts'
import { Readiness } from './ready.ts'
import { BoundSocket } from './socket.ts'
import { identifyTarget } from './target.ts'
import type { KnownTarget } from './target.ts'
import type { LiveServer, ServeOptions, Target } from './types.ts'

/**
 * Starts a server for `target` on a free port, and resolves when it is ready. The caller closes it.
 * A failed start leaves nothing open.
 *
 * ```ts
 * await using server = await serve(app)
 * const response = await server.fetch('/todos')
 * ```
 *
 * Throws a `PortzeroError`: `INVALID_TARGET`, `INVALID_OPTION`, `UNKNOWN_OPTION` before anything is opened; `PORT_IN_USE`,
 * `LISTEN_FAILED`, `FACTORY_FAILED`, `MODULE_FAILED`, `RESPONSE_FROM_FACTORY`, `AMBIGUOUS_TARGET`, `NOTHING_LISTENED`,
 * `START_TIMEOUT`, `NOT_READY` after all is closed again.
 */
export async function serve(target: Target, options: ServeOptions = {}): Promise<LiveServer> {
  const settings = resolveOptions(options)
  const known = identifyTarget(target)
  const socket = await BoundSocket.bind(settings.host, settings.port)
  const server = new Live(socket, settings)
  try {
    await start(server, known, settings)
    return server
  } catch (error) {
    await closeFailed(server, error)
    throw error
  }
}

async function start(server: Live, target: KnownTarget, settings: Settings): Promise<void> {
  const deadline = performance.now() + settings.startTimeout
  const started = server.runtime.start(target, () => server.context)
  if (!(await settlesWithin(started, settings.startTimeout))) {
    throw server.runtime.overdue(settings.startTimeout)
  }
  await started
  if (settings.ready === undefined) return
  const readiness = new Readiness(settings.ready)
  const ready = readiness.wait(server, server.context.signal)
  if (!(await settlesWithin(ready, deadline - performance.now()))) {
    throw readiness.overdue(settings.startTimeout)
  }
  await ready
}

/** Closes what a failed start has opened. What fails besides is told in the error of the start, which is the one to mend. */
async function closeFailed(server: Live, error: unknown): Promise<void> {
  try {
    await server.abandon()
  } catch (closing) {
    if (error instanceof Error) error.message += ` (${messageOf(closing)})`
  }
}
