import { certified } from './certificate/certified.ts'
import { PortzeroError } from './errors.ts'
import type { Life } from './life.ts'
import type { Settings } from './options.ts'
import type { Start } from './start.ts'
import type { KnownTarget } from './target.ts'

/** Begins a life on a port; on any that is free, if it is 0. */
export type Begin = (port: number, start?: Start) => Promise<Life>

/** Says how a target is begun outside of this thread. What that needs is loaded then. Throws `INVALID_OPTION`. */
export function beginnerElsewhere(target: KnownTarget, settings: Settings): Begin {
  const { isolation } = settings
  switch (target.kind) {
    case 'command':
    case 'asgi':
      if (isolation !== 'inline') throw hasItsOwnProcess(isolation)
      if (settings.https || settings.http2) throw speaksForItself(settings)
      return async (port, start) => {
        if (target.kind === 'asgi') {
          const { beginAsgi } = await import('./runtimes/asgi.ts')
          return beginAsgi(target.target, settings, port, start)
        }
        const { beginCommand } = await import('./runtimes/command.ts')
        return beginCommand(target.target, settings, port, start)
      }
    case 'module':
      return async (port, start) => {
        const own = await certified(settings)
        if (isolation === 'thread') {
          const { beginInThread } = await import('./runtimes/thread.ts')
          return beginInThread(target.location, own, port, start)
        }
        const { beginInProcess } = await import('./runtimes/process.ts')
        return beginInProcess(target.location, own, port, start)
      }
    default:
      throw cannotBeHandedOver(isolation)
  }
}

function cannotBeHandedOver(isolation: string): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    `With isolation: '${isolation}' the target must be a module, by URL or path, which is loaded there: serve(new URL('./server.js', import.meta.url), { isolation: '${isolation}' }). ` +
      'An app or a function cannot be handed over to another thread or process.',
  )
}

function speaksForItself({ https }: Settings): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    `The option '${https ? 'https' : 'http2'}' of serve() must be left out for a command or an ASGI app: what such a program speaks is its own affair. ` +
      'If it brings a certificate of its own, server.fetch accepts that.',
  )
}

function hasItsOwnProcess(isolation: string): PortzeroError {
  return new PortzeroError(
    'INVALID_OPTION',
    `The option 'isolation' of serve() must be left out for a command or an ASGI app, which has a process of its own. Got '${isolation}'.`,
  )
}
