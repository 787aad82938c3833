import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { PortzeroError, messageOf } from '../errors.ts'

let loads = 0

/**
 * Loads the module at a URL or path. With `fresh` it runs anew for each server; what it imports is shared, as ever.
 * Throws `MODULE_FAILED`.
 */
export async function loadModule(location: URL | string, fresh: boolean): Promise<unknown> {
  const url = urlOf(location)
  const asked = new URL(url)
  if (fresh) {
    // The loaders of Node keep a module by its URL, and a CommonJS one by its path.
    if (url.protocol === 'file:') {
      const { createRequire } = process.getBuiltinModule('node:module')
      delete createRequire(url).cache[fileURLToPath(url)]
    }
    asked.searchParams.set('portzero', String((loads += 1)))
  }
  try {
    return (await import(asked.href)) as unknown
  } catch (cause) {
    throw new PortzeroError('MODULE_FAILED', explain(url, asked, cause), { cause })
  }
}

/** A path is taken from the working directory. */
export function urlOf(location: URL | string): URL {
  if (location instanceof URL) return location
  return location.startsWith('file:') ? new URL(location) : pathToFileURL(resolve(location))
}

function explain(url: URL, asked: URL, cause: unknown): string {
  const path = url.protocol === 'file:' ? fileURLToPath(url) : url.href
  const { code, url: missing } = (cause ?? {}) as { code?: unknown; url?: unknown }
  if (code === 'ERR_MODULE_NOT_FOUND' && missing === asked.href) {
    return `There is no module at ${path}. A path is taken from the working directory, ${process.cwd()}; give a URL to take it from a file: new URL('./server.js', import.meta.url).`
  }
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return `Node ${process.version} cannot load ${path} by itself: ${messageOf(cause)}. In a test, hand over () => import('…') instead, and the test runner loads it.`
  }
  return `The module ${path} failed while it was loaded: ${messageOf(cause)}`
}
