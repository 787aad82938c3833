import { beginnerElsewhere } from './elsewhere.ts'
import type { Begin } from './elsewhere.ts'
import { warnIfExposed } from './exposure.ts'
import { Live } from './live-server.ts'
import { resolveOptions } from './options.ts'
import type { Observer, Settings } from './options.ts'
import { InlineLife } from './runtimes/inline.ts'
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
 * `START_TIMEOUT`, `NOT_READY`, and `INVALID_OPTION` for `http2` with an app that cannot speak it, after all is closed again.
 */
export function serve(target: Target, options: ServeOptions = {}): Promise<LiveServer> {
  return serveObserved(target, options)
}

/** The same, for one who looks on. */
export async function serveObserved(
  target: Target,
  options: ServeOptions,
  observer?: Observer,
): Promise<Live> {
  const settings = { ...resolveOptions(options), observer }
  const known = identifyTarget(target)
  warnIfExposed(settings.host)
  const begin = beginnerFor(known, settings)
  const life = await begin(settings.port)
  return new Live(life, settings, (signal) => begin(life.port, { signal }))
}

/** Says where a target runs. What is not needed in this process alone is loaded when it is. Throws `INVALID_OPTION`. */
function beginnerFor(target: KnownTarget, settings: Settings): Begin {
  const isElsewhere = settings.isolation !== 'inline'
  if (isElsewhere || target.kind === 'command' || target.kind === 'asgi') {
    return beginnerElsewhere(target, settings)
  }
  return (port) => InlineLife.begin(target, settings, { port })
}
