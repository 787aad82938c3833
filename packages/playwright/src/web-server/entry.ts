import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PlaywrightTestConfig } from '@playwright/test'
import { PortzeroError } from 'portzero'
import { DEFAULTS, identifier, toPortable } from 'portzero/apart'
import type { PortableOptions, PortableTarget, Rule } from 'portzero/apart'
import { DIRECTORY, PREFIX, VARIABLE } from './messages.ts'
import type { ServerSpec, Told } from './messages.ts'
import { variableOf } from './names.ts'
import { maySelect } from './projects.ts'
import { heedServers } from './run-end.ts'
import { checkPlaywright } from './version.ts'

/** Options of {@link webServer}: those of `serve()` that can be handed to another process, and two more. */
export interface WebServerOptions extends PortableOptions {
  /**
   * Names the server, for several side by side, and its lines in the log. The URL of `'api'` is in `process.env.API_URL`, and
   * `webServerURL('api')`; that of `'adminApi'` in `ADMIN_API_URL`.
   * @default 'server', whose URL is the `baseURL` of the tests
   */
  name?: string | undefined
  /**
   * The projects that need it: with `--project` and only others, it is not started. A project that another one depends on is
   * named as well, as the command line does not tell of it. In UI mode and in VS Code it is always started.
   * @default all
   */
  projects?: readonly string[] | undefined
}

/** An element of `webServer` in Playwright's configuration. */
export type WebServerEntry = Exclude<
  NonNullable<PlaywrightTestConfig['webServer']>,
  readonly unknown[]
>

type OwnOptions = Pick<WebServerOptions, 'name' | 'projects'>

const OWN: Record<keyof OwnOptions, Rule> = {
  name: identifier,
  projects: {
    accepts: (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((name) => typeof name === 'string' && name !== ''),
    expected: "names of projects, such as ['chromium']",
  },
}

/**
 * What Playwright's limits add to what starting and closing may take, in ms: they are for faults of our own, and must not come
 * first when the machine is busy.
 */
const RESERVE = { start: 60_000, end: 10_000 }

/** The longest limit that is safe to hand to a timer, in ms. */
const LONGEST = 2 ** 31 - 1_000

/** Longer paths of sockets are cut off by some systems. */
const LONGEST_FOLDER = 60

const PROGRAM = fileURLToPath(new URL('./program.js', import.meta.url))

/** The servers of the configuration that this process loads, and the environments of their programs. */
const entries: Map<string, { spec: ServerSpec; env: Record<string, string> }> = new Map()
let meeting: string | undefined

/**
 * An entry for `webServer` in Playwright's configuration: one server for all workers, on a free port.
 *
 * ```ts
 * export default defineConfig({ webServer: webServer('./src/server.ts') })
 *
 * test('adds', async ({ page }) => { await page.goto('/') })
 * ```
 *
 * The target is what another process can load: a module by `URL` or path (relative to the directory of the configuration), which may
 * export an app or a factory or start a server itself; a program, `{ command: 'npm start' }`; or an ASGI app, `{ asgi: 'main:app' }`.
 * The call itself starts nothing. Playwright starts the server before the first test; several are started at the same time. No port is
 * picked, and nothing is polled: Playwright goes on when the server is ready, and fails at once when that cannot start.
 * Playwright ends it after the last test; it also ends, within `grace` and a little, when Playwright itself is gone, in whatever way.
 * A close hook that throws fails the run, by its exit code alone.
 *
 * Its URL is the default of `baseURL`. That of a server with a name is in a variable of the environment, see `name`.
 * What it prints is shown with its name in front; {@link webServerLog} adds it to the report of a test that fails.
 *
 * Throws a `PortzeroError` at once: `INVALID_TARGET`, `INVALID_OPTION`, `UNKNOWN_OPTION`, and `RUNNER_TOO_OLD` before Playwright 1.57.
 */
export function webServer(target: PortableTarget, options: WebServerOptions = {}): WebServerEntry {
  const portable = toPortable<OwnOptions>('webServer()', target, options, OWN)
  checkPlaywright()
  const { name = 'server', projects } = options
  if (projects !== undefined && !maySelect(projects, process.argv.slice(2))) return notNeeded(name)
  const { startTimeout = DEFAULTS.startTimeout, grace = DEFAULTS.grace } = options
  return {
    name,
    command: commandLine(PROGRAM),
    env: environmentOf({ ...portable, name }),
    wait: { stdout: readyLine(name) },
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: Math.min(startTimeout + RESERVE.start, LONGEST),
    gracefulShutdown: { signal: 'SIGTERM', timeout: Math.min(grace + RESERVE.end, LONGEST) },
  }
}

/** Playwright does not wait for a command that has nothing to wait for, nor does it mind its end. */
function notNeeded(name: string): WebServerEntry {
  return { name, command: 'exit 0' }
}

/** Takes the server up among those that start together: each program knows of all. */
function environmentOf(spec: ServerSpec): Record<string, string> {
  const variable = variableOf(spec.name)
  const known = entries.get(variable)
  // A configuration may be evaluated more than once in a process.
  const isAnother = known !== undefined && JSON.stringify(known.spec) !== JSON.stringify(spec)
  if (isAnother) throw ambiguous(spec.name, known.spec.name, variable)
  const own = known?.env ?? {}
  entries.set(variable, { spec, env: own })
  meeting ??= newMeeting()
  const servers = [...entries.values()].map((entry) => entry.spec)
  for (const {
    spec: { name },
    env,
  } of entries.values()) {
    env[VARIABLE] = JSON.stringify({ name, directory: meeting, servers } satisfies Told)
  }
  return own
}

function newMeeting(): string {
  const directory = join(temporaryFolder(), `${PREFIX}${randomBytes(8).toString('hex')}`)
  heedServers(directory)
  return directory
}

function temporaryFolder(): string {
  const folder = tmpdir()
  return folder.length > LONGEST_FOLDER && process.platform !== 'win32' ? '/tmp' : folder
}

/** What the program says when its server is ready. The names of the groups become variables of the environment. */
function readyLine(name: string): RegExp {
  const url = `(?<${variableOf(name).toLowerCase()}>\\S+)`
  const log = `(?<${DIRECTORY.toLowerCase()}>\\S+)`
  const literally = name.replaceAll('$', '\\$')
  return new RegExp(`^portzero: ${literally} is ready at ${url}, its log in ${log}\\r?\\n`, 'm')
}

/** For the shell that Playwright starts it with. It takes the place of a POSIX shell, so that a signal meets no other. */
function commandLine(program: string): string {
  const words = [process.execPath, program]
  if (process.platform === 'win32') return words.map((word) => `"${word}"`).join(' ')
  return `exec ${words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')}`
}

function ambiguous(name: string, other: string, variable: string): PortzeroError {
  const names =
    name === other
      ? `Two web servers have the name '${name}'`
      : `The names '${name}' and '${other}' of web servers are too much alike`
  return new PortzeroError(
    'INVALID_OPTION',
    `${names}: the URL of both would be in ${variable}. Give each a name of its own: webServer('./src/api.ts', { name: 'api' }).`,
  )
}
