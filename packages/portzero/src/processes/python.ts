import { access, constants } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { PortzeroError } from '../errors.ts'

/** Where to look for a Python interpreter. */
export interface PythonSearch {
  /** A path, from `cwd`, or a name that is on the `PATH`: then nothing else will do. */
  readonly python?: string | undefined
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

const isWindows = process.platform === 'win32'
const IN_ENVIRONMENT = isWindows ? join('Scripts', 'python.exe') : join('bin', 'python')
const ENVIRONMENTS = ['.venv', 'venv']
const NAMES = ['python3', 'python']

/**
 * Finds the interpreter of a program: the one that was asked for; else that of the active virtual environment
 * (`VIRTUAL_ENV`), of a `.venv` or `venv` in the working directory or above it, or the first on the `PATH`.
 * Throws `PYTHON_MISSING`.
 */
export async function findPython({ python, cwd, env }: PythonSearch): Promise<string> {
  if (python !== undefined) {
    const candidates = isPath(python) ? [resolve(cwd, python)] : onPath(python, env)
    return (await firstProgram(candidates)) ?? missing(`'${python}' is asked for`, python, cwd)
  }
  const active = env['VIRTUAL_ENV'] ?? ''
  const candidates = [
    ...(active === '' ? [] : [join(active, IN_ENVIRONMENT)]),
    ...folders(cwd).flatMap((folder) =>
      ENVIRONMENTS.map((name) => join(folder, name, IN_ENVIRONMENT)),
    ),
    ...NAMES.flatMap((name) => onPath(name, env)),
  ]
  const looked = [
    active === '' ? 'VIRTUAL_ENV is not set' : `VIRTUAL_ENV is ${active}`,
    `there is no ${ENVIRONMENTS.join(' or ')} with a ${IN_ENVIRONMENT} in ${cwd} or above`,
    `and no ${NAMES.join(' or ')} on the PATH`,
  ]
  return (await firstProgram(candidates)) ?? missing(looked.join(', '))
}

function missing(looked: string, python?: string, cwd?: string): never {
  const where =
    python === undefined ? '' : isPath(python) ? `, from ${cwd}` : ', and is not on the PATH'
  throw new PortzeroError(
    'PYTHON_MISSING',
    `There is no Python to run the app with: ${looked}${where}. ` +
      "Install Python, make a virtual environment, or name an interpreter with the target's 'python'.",
  )
}

function isPath(program: string): boolean {
  return /[/\\]/.test(program)
}

function onPath(name: string, env: PythonSearch['env']): string[] {
  const file = isWindows && !name.endsWith('.exe') ? `${name}.exe` : name
  // Windows writes it Path.
  const path = Object.entries(env).find(([key]) => key.toUpperCase() === 'PATH')?.[1] ?? ''
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, file))
}

/** A folder and those above it, nearest first. */
function folders(from: string): string[] {
  const above = dirname(from)
  return above === from ? [from] : [from, ...folders(above)]
}

async function firstProgram(paths: string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await isProgram(path)) return path
  }
  return undefined
}

async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
