import { Life } from './life.ts'
import { Live } from './live-server.ts'
import { resolveOptions } from './options.ts'
import { identifyTarget } from './target.ts'
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
 * `START_TIMEOUT`, `NOT_READY`, and `INVALID_OPTION` for `http2` with an app that cannot speak it, after all is closed again.
 */
export async function serve(target: Target, options: ServeOptions = {}): Promise<LiveServer> {
  const settings = resolveOptions(options)
  const known = identifyTarget(target)
  const life = await Life.begin(known, settings, settings.port)
  return new Live(life, settings, () => Life.begin(known, settings, life.port))
}
