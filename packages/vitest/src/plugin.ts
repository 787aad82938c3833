import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { AsgiTarget, CommandTarget, Target } from 'portzero'
import { define } from 'portzero/shared'
import type { Definition, SharedContext } from 'portzero/shared'
import type { GlobalServerOptions } from './global-server.ts'
import { join } from './plugin-run.ts'
import { handOver } from './plugin-setup.ts'
import { heedWorkers } from './run-end.ts'
import type { TestProject, Vitest } from 'vitest/node'

/**
 * Options of {@link portzero}: those of `serve()`, but for `slot` and `workerId`; and `name`, which makes the URL known under
 * another key: `'api'` provides `apiURL`. For a module, `isolation` is `'process'` by default.
 */
export type PluginOptions = GlobalServerOptions

/** What {@link portzero} returns, for `plugins` in `vitest.config.ts`. */
export interface PortzeroPlugin {
  readonly name: 'portzero'
  /** Called by Vitest for each project, before it is known whether there are tests. Starts nothing. */
  configureVitest(context: { readonly project: TestProject; readonly vitest: Vitest }): void
}

/**
 * A plugin for `vitest.config.ts` that gives all tests one live server, in one line. It is started before the first test, if there
 * is any, and closed after the last one.
 *
 * ```ts
 * export default defineConfig({ plugins: [portzero('./src/server.ts')] })
 *
 * test('lists', async () => {
 *   const response = await fetch(`${inject('baseURL')}/todos`)
 * })
 * ```
 *
 * For the fixtures `server` and `baseURL`, import `test` from `@portzero/vitest/test`.
 *
 * A path is taken from the project's root, and so is `cwd` of a command or of an ASGI app, whose default is the root. A module runs in a
 * child process, or where `isolation` says. In watch mode it is kept from run to run, and loaded anew, on the same port, when a file
 * changed that it has loaded, which runs the tests again too; so is an ASGI app when a Python file below its `cwd` changed. A command, and
 * what runs in Vitest's own process (`isolation: 'inline'`, a function, an app), stay as they are.
 *
 * In a browser project `inject('baseURL')` is a URL on `localhost` that the page may ask: what it answers says so (CORS).
 *
 * For several servers, list several plugins, with a name each. Projects that list the same one share a server. With `https: true` it also
 * provides `serverCA` (with a name, `apiCA`): what clients are to trust, as PEM.
 *
 * Throws a `PortzeroError` at once: `INVALID_TARGET`, `INVALID_OPTION`, `UNKNOWN_OPTION`. A start that fails or takes longer than
 * `startTimeout` (default 30,000 ms), fails the run with the error of `serve()`; so does, with `CLOSE_FAILED`, a close hook that throws.
 * In watch mode the tests run all the same, and what they ask is answered with 503 and the reason; the next edit mends it.
 *
 * In Vitest's main process it also hears how the servers of workers end, where that is after the run was judged: with `isolate: false`,
 * and with a scope. Without the plugin a close hook that throws there fails no run. With no target this is all it does: `portzero()`.
 */
export function portzero(
  ...given: [] | [target: Target<SharedContext>, options?: PluginOptions]
): PortzeroPlugin {
  const defined = given.length === 0 ? undefined : define(given[0], given[1], 'portzero()')
  return {
    name: 'portzero',
    configureVitest({ project, vitest }) {
      heedWorkers(vitest)
      if (defined === undefined) return
      const definition = locate(defined, project.config.root)
      const begin = join(definition, project, vitest)
      handOver(project, begin)
    },
  }
}

/** Takes paths from the root of the project: the working directory may be another one. */
function locate(definition: Definition, root: string): Definition {
  const { target, options } = definition
  if (target instanceof URL) return inProcess(definition, target)
  if (typeof target === 'string') {
    const isURL = target.startsWith('file:')
    return inProcess(definition, isURL ? new URL(target) : pathToFileURL(resolve(root, target)))
  }
  if (!isProgram(target)) return definition
  return { ...definition, options, target: { ...target, cwd: resolve(root, target.cwd ?? '') } }
}

// Only what has a thread or process of its own runs anew with all that it imports.
function inProcess(definition: Definition, target: URL): Definition {
  const { isolation = 'process' } = definition.options
  return { ...definition, target, options: { ...definition.options, isolation } }
}

function isProgram(target: object): target is CommandTarget | AsgiTarget {
  return Object.hasOwn(target, 'command') || Object.hasOwn(target, 'asgi')
}
