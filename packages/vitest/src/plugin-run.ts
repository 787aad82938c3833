import { fileURLToPath } from 'node:url'
import type { Definition } from 'portzero/shared'
import { KeptServer } from './kept-server.ts'
import type { Begin } from './plugin-setup.ts'
import { teardownOf } from './run-end.ts'
import { changesIn } from './watched.ts'
import type { TestProject, Vitest } from 'vitest/node'

/** What a test may read at its top while tests are only listed. */
const NOT_STARTED = 'http://not-started.invalid'

/** The servers of one run of Vitest's, which in watch mode has many runs of its tests, until its configuration changes. */
class Run {
  readonly #vitest: Vitest
  readonly #servers: Map<string, KeptServer> = new Map()
  /** What went wrong between two runs of the tests, until a run can be failed with it. */
  #failures: unknown[] = []
  #isTesting = false
  #isFollowing = false

  constructor(vitest: Vitest) {
    this.#vitest = vitest
    vitest.config.reporters.push({
      onTestRunStart: () => void (this.#isTesting = true),
      // What is caught before the first file, Vitest forgets.
      onTestModuleQueued: () => {
        for (const error of this.#failures.splice(0)) {
          vitest.state.catchError(error, 'portzero: The server of the tests failed')
        }
      },
      onTestRunEnd: () => void (this.#isTesting = false),
    })
  }

  /** Starts what is defined so, or joins the projects that have. */
  async begin(definition: Definition, project: TestProject): Promise<() => Promise<void>> {
    // Vitest loads tests to list them, and calls globalSetup for it.
    if (!this.#isTesting) {
      project.provide(definition.urlName as 'baseURL', NOT_STARTED)
      return async () => {}
    }
    const key = keyOf(definition, project)
    let server = this.#servers.get(key)
    if (server === undefined) {
      server = new KeptServer(definition, this.#vitest, (error) => this.#failures.push(error))
      this.#servers.set(key, server)
    }
    await server.join(project)
    if (this.#vitest.config.watch) this.#follow()
    return teardownOf(server.leaseOf(project), this.#vitest)
  }

  /** Keeps up with what changes between two runs of the tests. */
  #follow(): void {
    if (this.#isFollowing) return
    this.#isFollowing = true
    const servers = (): KeptServer[] => [...this.#servers.values()]
    const isTesting = (): boolean => this.#isTesting
    const { config } = this.#vitest
    config.watchTriggerPatterns = [
      ...(config.watchTriggerPatterns ?? []),
      changesIn(servers, isTesting, this.#vitest),
    ]
    this.#vitest.onTestsRerun(async () => {
      await Promise.all(servers().map((server) => server.catchUp()))
    })
  }
}

// A change of the configuration gives the same Vitest another one.
const runs: WeakMap<Vitest['config'], Run> = new WeakMap()

/** What starts a server for a project, once there are tests to run. */
export function join(definition: Definition, project: TestProject, vitest: Vitest): Begin {
  const run = runs.get(vitest.config) ?? new Run(vitest)
  runs.set(vitest.config, run)
  return () => run.begin(definition, project)
}

/** Projects have each loaded the configuration, and defined anew what is the same. */
function keyOf({ name, target, options }: Definition, project: TestProject): string {
  const named = JSON.stringify([name, options], (_, value: unknown) =>
    value instanceof RegExp || typeof value === 'function' ? String(value) : value,
  )
  if (target instanceof URL) return `${named} ${fileURLToPath(target)}`
  if (typeof target === 'function') {
    return `${named} ${project.vite.config.configFile} ${String(target)}`
  }
  const isProgram = typeof target === 'string' || 'command' in target || 'asgi' in target
  return isProgram ? `${named} ${JSON.stringify(target)}` : `${named} ${idOf(target)}`
}

const ids: WeakMap<object, number> = new WeakMap()
let lastId = 0

/** An app that was handed over is the same as itself alone. */
function idOf(app: object): number {
  const id = ids.get(app) ?? (lastId += 1)
  ids.set(app, id)
  return id
}
