import { fileURLToPath } from 'node:url'
import { describe } from '../describe.ts'
import { PortzeroError } from '../errors.ts'
import { urlOf } from '../loading/module.ts'
import { identifyTarget } from '../target.ts'
import type { AsgiTarget, CommandTarget, ServeOptions } from '../types.ts'
import type { HeldScope } from './registry.ts'

/** What another process can start: a module by its URL, a program, or an ASGI app. */
type HeldTarget = string | CommandTarget | AsgiTarget

/** What a holder is told to hold. It goes through a channel between processes. */
export interface HeldSpec {
  readonly id: string
  readonly name: string
  readonly target: HeldTarget
  /** The target in words. */
  readonly title: string
  readonly options: ServeOptions
  readonly scope?: HeldScope | undefined
  /** The port of one that this one follows: used if it is free. */
  readonly formerPort?: number | undefined
}

/**
 * What is sent to a holder of what `caller` was given, its options checked before. Throws `INVALID_TARGET` for a target, and `INVALID_OPTION`
 * for an option, that cannot be handed over to another process.
 */
export function toHeld(
  caller: string,
  given: unknown,
  options: ServeOptions,
): Pick<HeldSpec, 'target' | 'title' | 'options'> {
  const known = identifyTarget(given)
  if (typeof options.ready === 'function') throw readyFunction(caller)
  switch (known.kind) {
    case 'command': {
      const { command } = known.target
      const title = typeof command === 'string' ? command : command.join(' ')
      return { target: known.target, title, options }
    }
    case 'asgi':
      return { target: known.target, title: known.target.asgi, options }
    case 'module': {
      const { isolation = 'process' } = options
      if (isolation === 'inline') throw inline(caller)
      const { href } = urlOf(known.location)
      const title = href.startsWith('file:') ? fileURLToPath(href) : href
      return { target: href, title, options: { ...options, isolation } }
    }
    default:
      throw new PortzeroError(
        'INVALID_TARGET',
        `${caller} takes what another process can start: a module by URL or path, a program ({ command: 'npm start' }), ` +
          `or an ASGI app ({ asgi: 'main:app' }). Got ${describe(given)}. Put the app in a module, and give its URL: new URL('./server.js', import.meta.url).`,
      )
  }
}

function readyFunction(caller: string): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    `The option 'ready' of ${caller} must be a path or a pattern: a function cannot be handed over to another process.`,
  )
}

function inline(caller: string): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    `The option 'isolation' of ${caller} must be 'process' (the default) or 'thread': the server does not run in this process. Got 'inline'.`,
  )
}
