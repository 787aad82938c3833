import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { stripVTControlCharacters } from 'node:util'
import { onTestFailed } from 'vitest'

/** How to run the project: the runner's own command line, and what it needs besides. */
export interface ProjectCommand {
  /** Program of the runner, such as `@playwright/test/cli`: a module of this repository's. */
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** What the project's package.json says it is made of. */
  readonly type?: 'module' | 'commonjs'
  /** Folders of `fixtures/apps` that are copied into it. */
  readonly apps?: readonly string[]
}

export interface ProjectRun {
  /** `null` if it had to be killed. */
  readonly exitCode: number | null
  /** All that it printed, without colours. */
  readonly output: string
  /** What it wrote to the report file; `undefined` if it wrote none. */
  readonly report: unknown
}

/** How long a run may take, in ms: less than the limit of the tests, so that none outlives its test. */
const LIMIT = 100_000

const root = join(import.meta.dirname, '..')
const require = createRequire(import.meta.url)

/**
 * Runs a project of `fixtures/projects` with its real runner, in a temporary folder that has the packages as a user
 * would install them: as copies of what is built. `command` is told where the runner is to write its JSON report.
 * If the test that calls it fails, what the runner printed is shown.
 */
export async function runProject(
  name: string,
  command: (reportFile: string) => ProjectCommand,
): Promise<ProjectRun> {
  const folder = await temporaryFolder(name)
  try {
    const reportFile = join(folder, 'report.json')
    const { program, args, env, type, apps = [] } = command(reportFile)
    await fill(folder, name, type)
    for (const app of apps) {
      await cp(join(root, 'fixtures/apps', app), join(folder, app), { recursive: true })
    }
    const { exitCode, output } = await runNode([require.resolve(program), ...args], folder, env)
    onTestFailed(() => console.error(output))
    return { exitCode, output, report: await readReport(reportFile) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A copy of a project, for the test to run as it likes. Whoever asks for it removes it. */
export async function copyProject(
  name: string,
): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await temporaryFolder(name)
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  try {
    await fill(folder, name)
    return { folder, remove }
  } catch (error) {
    await remove()
    throw error
  }
}

function temporaryFolder(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `portzero-${name}-`))
}

async function fill(
  folder: string,
  name: string,
  type: ProjectCommand['type'] = 'module',
): Promise<void> {
  await cp(join(root, 'fixtures/projects', name), folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type }))
  await install(join(folder, 'node_modules'))
}

/** Links to everything that is installed here, but copies of our own packages: what lies outside of node_modules is treated otherwise. */
async function install(modules: string): Promise<void> {
  await mkdir(modules)
  const installed = await readdir(join(root, 'node_modules'))
  const foreign = installed.filter((entry) => !/^(?:\.|portzero$|@portzero$)/.test(entry))
  await Promise.all(
    foreign.map((entry) => symlink(join(root, 'node_modules', entry), join(modules, entry))),
  )
  const packages = await readdir(join(root, 'packages'), { withFileTypes: true })
  for (const { name: folder } of packages.filter((entry) => entry.isDirectory())) {
    const manifest = await readFile(join(root, 'packages', folder, 'package.json'), 'utf8')
    const { name, files } = JSON.parse(manifest) as { name: string; files: string[] }
    const target = join(modules, name)
    await mkdir(dirname(target), { recursive: true })
    for (const file of files.filter((entry) => !entry.startsWith('!'))) {
      await cp(join(root, 'packages', folder, file), join(target, file), { recursive: true })
    }
    await writeFile(join(target, 'package.json'), manifest)
    await installNested(
      join(root, 'packages', folder, 'node_modules'),
      join(target, 'node_modules'),
    )
  }
}

/** Links to what a package has beside the others, as they need another version of it. */
async function installNested(from: string, to: string): Promise<void> {
  if (!existsSync(from)) return
  await mkdir(to)
  const installed = await readdir(from)
  const nested = installed.filter((entry) => !entry.startsWith('.'))
  await Promise.all(nested.map((entry) => symlink(join(from, entry), join(to, entry))))
}

/** Runs Node in a folder, to its end. */
export async function runNode(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Pick<ProjectRun, 'exitCode' | 'output'>> {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { ...clean(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT,
    killSignal: 'SIGKILL',
  })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('exit', resolve)
  })
  const [exitCode, ...printed] = await Promise.all([exited, text(child.stdout), text(child.stderr)])
  return { exitCode, output: stripVTControlCharacters(printed.join('\n')) }
}

/** What this runner tells its own workers, the runner of a project must not hear. */
export function clean(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const inherited = Object.entries(env).filter(
    ([name]) =>
      !/^(?:VITEST|TEST|PLAYWRIGHT_|NODE_ENV$|NODE_OPTIONS$|FORCE_COLOR$|TALLY_)/.test(name),
  )
  return Object.fromEntries(inherited)
}

async function readReport(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
