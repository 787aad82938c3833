import { describe } from './describe.ts'
import { PortzeroError } from './errors.ts'
import { checkPortableOptions } from './options.ts'
import type { Rule } from './options.ts'
import { identifyTarget } from './target.ts'
import type { AsgiTarget, CommandTarget, ServeOptions, Target } from './types.ts'

/** What another process can load, too: a module by URL or path, a program, an ASGI app. */
export type PortableTarget = URL | string | CommandTarget | AsgiTarget

/** Options of `serve()` for a server that another process starts. `slot` and `workerId` are its own to say. */
export interface PortableOptions extends Omit<
  ServeOptions,
  'isolation' | 'ready' | 'slot' | 'workerId'
> {
  /**
   * Where a module runs, so that it blocks nobody who looks after it.
   * @default 'process'
   */
  isolation?: 'thread' | 'process' | undefined
  /**
   * What must hold before the server counts as started, besides listening: a path that must answer below 400, or a pattern that a line
   * of its output must match.
   */
  ready?: string | RegExp | undefined
}

/** A server to be started by another process, as JSON carries it. */
export interface PortableServer {
  readonly target: string | CommandTarget | AsgiTarget
  readonly options: Omit<PortableOptions, 'ready'>
  readonly ready?: string | { readonly pattern: string; readonly flags: string } | undefined
}

/**
 * Checks what `caller` was given, and makes it fit to be sent. A path stays relative: it is taken from the working directory there.
 * `more` are options that are the caller's own, and left to it.
 * Throws `INVALID_TARGET`, `INVALID_OPTION` or `UNKNOWN_OPTION`.
 */
export function toPortable<More extends object>(
  caller: string,
  target: PortableTarget,
  options: PortableOptions & More,
  more: Readonly<Record<keyof More, Rule>>,
): PortableServer {
  checkPortableOptions(caller, options, more)
  const { kind } = identifyTarget(target)
  if (kind !== 'module' && kind !== 'command' && kind !== 'asgi') throw staysHere(caller, target)
  const own = Object.entries(options).filter(([name]) => !Object.hasOwn(more, name))
  const { ready, ...rest } = Object.fromEntries(own) as PortableOptions
  const isolation = kind === 'module' ? { isolation: rest.isolation ?? 'process' } : {}
  return {
    target: target instanceof URL ? target.href : target,
    options: { ...rest, ...isolation },
    ready: ready instanceof RegExp ? { pattern: ready.source, flags: ready.flags } : ready,
  }
}

/** What `serve()` is to be given there. */
export function fromPortable({
  target,
  options,
  ready,
}: PortableServer): [target: Target, options: ServeOptions] {
  const isPattern = typeof ready === 'object'
  return [target, { ...options, ready: isPattern ? new RegExp(ready.pattern, ready.flags) : ready }]
}

function staysHere(caller: string, target: unknown): PortzeroError {
  return new PortzeroError(
    'INVALID_TARGET',
    `${caller} starts its server in another process, to which an app or a function cannot be handed over. Got ${describe(target)}. ` +
      "Give a module by URL or path that exports it ('./src/server.ts'), a program ({ command: 'npm start' }), or an ASGI app ({ asgi: 'main:app' }).",
  )
}
