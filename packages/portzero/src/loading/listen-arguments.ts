import type { NodeServer } from '../types.ts'

/** The TCP port that the arguments of a `listen()` ask for: 0 for any; `undefined` for a pipe, a handle or a descriptor. */
export function portOf([first]: unknown[]): number | undefined {
  if (first === undefined || first === null || typeof first === 'function') return 0
  if (typeof first === 'object') {
    if ('_handle' in first || 'handle' in first || 'fd' in first || 'path' in first)
      return undefined
    return 'port' in first ? asPort(first.port ?? 0) : undefined
  }
  return asPort(first)
}

// A string that is no number is the path of a pipe; a number out of range is refused by listen() itself.
function asPort(value: unknown): number | undefined {
  const port = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  const valid = typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535
  return valid ? port : undefined
}

/** Keeps what else the arguments of a caught `listen()` ask for: its callback, and a signal that closes the server. */
export function passOn(server: NodeServer, args: unknown[]): void {
  const callback = args.at(-1)
  if (typeof callback === 'function') server.once('listening', callback as () => void)
  const [options] = args
  if (typeof options !== 'object' || options === null || !('signal' in options)) return
  const { signal } = options
  if (!(signal instanceof AbortSignal)) return
  if (signal.aborted) server.once('listening', () => server.close())
  else signal.addEventListener('abort', () => server.close(), { once: true })
}

/** The same arguments, but for the port, which may be any. */
export function onAnyPort([first, ...others]: unknown[]): unknown[] {
  return [typeof first === 'object' ? { ...first, port: 0 } : 0, ...others]
}
