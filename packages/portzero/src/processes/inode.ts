import { fstatSync } from 'node:fs'

/**
 * The inode of an open socket, by which it is known in every process; `undefined` if the descriptor is none, or not open.
 *
 * It is read as a BigInt, and so not into the numbers that Node keeps of the last file it has looked at: while they are of a socket,
 * Node 20's `realpathSync()` takes a path for one too, and `require()` and the main program are not found behind a link.
 */
export function inodeOf(descriptor: number): number | undefined {
  try {
    const stats = fstatSync(descriptor, { bigint: true })
    return stats.isSocket() ? Number(stats.ino) : undefined
  } catch {
    return undefined
  }
}
