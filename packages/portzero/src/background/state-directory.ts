import { lstatSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { env, getuid, platform } from 'node:process'
import { PortzeroError, messageOf } from '../errors.ts'

/** What a socket's address may be long, in bytes, where it is the least: macOS has 104, with a zero at the end. */
const LONGEST_ADDRESS = 103

/**
 * The directory in which is noted what runs in the background: `PORTZERO_STATE_DIR`, or a folder of its own in the user's runtime directory, or in
 * the one for temporary files. It is made if it is missing, and checked each time. Throws `STATE_DIR_UNSAFE` or `STATE_DIR_FAILED`.
 */
export function stateDirectory(): string {
  return ownDirectory(path.resolve(placeFor()))
}

/** Where what belongs to `id` listens. A path that is too long for a socket is replaced by a short one, in a directory that is as safe. */
export function socketPath(directory: string, id: string): string {
  if (platform === 'win32') return `\\\\.\\pipe\\portzero-${id}`
  const fits = (address: string): boolean => Buffer.byteLength(address) <= LONGEST_ADDRESS
  const wanted = path.join(directory, `${id}.sock`)
  if (fits(wanted)) return wanted
  const short = temporary(tmpdir())
  return path.join(
    ownDirectory(fits(path.join(short, `${id}.sock`)) ? short : temporary('/tmp')),
    `${id}.sock`,
  )
}

function placeFor(): string {
  const { PORTZERO_STATE_DIR: own, XDG_RUNTIME_DIR: runtime } = env
  if (own !== undefined && own !== '') return own
  if (runtime !== undefined && path.isAbsolute(runtime)) return path.join(runtime, 'portzero')
  return temporary(tmpdir())
}

function temporary(parent: string): string {
  return path.join(parent, `portzero-${getuid?.() ?? 'user'}`)
}

/** Makes it, for this user alone; what is there already must be so. */
function ownDirectory(directory: string): string {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (cause) {
    // A link, or a file, is told of below.
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
      throw stateDirectoryFailed(directory, cause)
  }
  const fault = faultOf(directory)
  if (fault === undefined) return directory
  throw new PortzeroError(
    'STATE_DIR_UNSAFE',
    `The directory ${directory} keeps what runs in the background, and must be this user's alone: a directory, no link, owned by this user, without ` +
      `rights for others (mode 0700). It ${fault}. Remove it or mend that, or name another one in PORTZERO_STATE_DIR.`,
  )
}

function faultOf(directory: string): string | undefined {
  const { mode, uid, isDirectory, isSymbolicLink } = statOf(directory)
  if (isSymbolicLink) return 'is a link'
  if (!isDirectory) return 'is no directory'
  // There are other means than these on Windows, where each user has a temporary directory of its own.
  if (platform === 'win32') return undefined
  if (uid !== getuid?.()) return `is owned by the user ${uid}`
  const rights = mode & 0o777
  return (rights & 0o077) === 0 ? undefined : `has the mode 0${rights.toString(8)}`
}

function statOf(directory: string): {
  mode: number
  uid: number
  isDirectory: boolean
  isSymbolicLink: boolean
} {
  try {
    const stat = lstatSync(directory)
    return {
      mode: stat.mode,
      uid: stat.uid,
      isDirectory: stat.isDirectory(),
      isSymbolicLink: stat.isSymbolicLink(),
    }
  } catch (cause) {
    throw stateDirectoryFailed(directory, cause)
  }
}

/** Says that the directory cannot be used. */
export function stateDirectoryFailed(directory: string, cause: unknown): PortzeroError {
  return new PortzeroError(
    'STATE_DIR_FAILED',
    `The directory ${directory}, which keeps what runs in the background, cannot be made, read or written: ${messageOf(cause)}. ` +
      'Name one that can in PORTZERO_STATE_DIR.',
    { cause },
  )
}
