import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { PortzeroError } from '../errors.ts'

/** What makes a thread or process of Node load TypeScript. */
export interface Loader {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const NODE_ALONE: Loader = { args: [], env: {} }

/**
 * Has `begin` load the module at `location` in a thread or process: JavaScript by Node alone, and TypeScript too, where Node strips
 * types. What that is not enough for (enums, decorators, paths of tsconfig.json), and all TypeScript on an older Node, is loaded by
 * tsx, if it is installed where the module is, or in the working directory. Throws `MODULE_FAILED`.
 */
export async function withLoader<T>(
  location: URL,
  begin: (loader: Loader) => Promise<T>,
): Promise<T> {
  if (!isTypeScript(location)) return begin(NODE_ALONE)
  if (!stripsTypes(location)) {
    const tsx = findTsx(location)
    if (tsx === undefined) throw cannotLoad(location)
    return begin(tsx)
  }
  try {
    return await begin(NODE_ALONE)
  } catch (error) {
    if (!needsMore(error)) throw error
    const tsx = findTsx(location)
    if (tsx !== undefined) return begin(tsx)
    error.message += ADVICE
    throw error
  }
}

const ADVICE =
  '. Node only strips types. For enums, decorators, paths of tsconfig.json, and imports without extension, install tsx beside the module: npm install --save-dev tsx.'

function isTypeScript(location: URL): boolean {
  return (
    location.protocol === 'file:' && /\.[cm]?tsx?$/.test(location.pathname) && existsSync(location)
  )
}

function stripsTypes({ pathname }: URL): boolean {
  const { typescript } = process.features as { typescript?: unknown }
  return Boolean(typescript) && !pathname.endsWith('x')
}

function cannotLoad(location: URL): PortzeroError {
  return new PortzeroError(
    'MODULE_FAILED',
    `Node ${process.version} cannot load ${fileURLToPath(location)} by itself. Install tsx beside it (npm install --save-dev tsx), or use Node 22.18 or later, which strips types.`,
  )
}

/** What Node says of TypeScript that it cannot load, besides a `SyntaxError`. */
const CODES = new Set<unknown>([
  'ERR_MODULE_NOT_FOUND',
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_DIR_IMPORT',
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
  'MODULE_NOT_FOUND',
])

function needsMore(error: unknown): error is PortzeroError {
  if (!(error instanceof PortzeroError) || error.code !== 'MODULE_FAILED') return false
  const { name, code, stack } = (error.cause ?? {}) as Partial<Error> & { code?: unknown }
  // The app may have thrown it itself.
  if (name === 'SyntaxError') return !stack?.includes(' at JSON.parse ')
  return CODES.has(code)
}

function findTsx(location: URL): Loader | undefined {
  for (const from of [location, pathToFileURL(`${process.cwd()}/`)]) {
    const { resolve } = createRequire(from)
    try {
      return tsxAt([resolve('tsx/cjs/api'), resolve('tsx/esm/api')], location)
    } catch {
      // It is not installed there.
    }
  }
  return undefined
}

/** Has tsx register itself: in a thread of Node 20, its own `--import tsx` does nothing. */
function tsxAt(modules: readonly string[], location: URL): Loader {
  const lines = modules.map((path, index) => {
    // What require() is given does not find the hooks on Node 20; what import is given lies beside it.
    const href = JSON.stringify(pathToFileURL(path.replace(/\.cjs$/, '.mjs')).href)
    return `import { register as register${index} } from ${href}; register${index}()`
  })
  const preload = `data:text/javascript,${encodeURIComponent(lines.join('\n'))}`
  return { args: ['--import', preload], env: tsconfigFor(location) }
}

/** By itself, tsx looks for tsconfig.json in the working directory, and above. */
function tsconfigFor(location: URL): Record<string, string> {
  for (let folder = new URL('.', location); ;) {
    const file = new URL('tsconfig.json', folder)
    if (existsSync(file)) return { TSX_TSCONFIG_PATH: fileURLToPath(file) }
    const above = new URL('..', folder)
    if (above.href === folder.href) return {}
    folder = above
  }
}
