import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import net from 'node:net'
import { dirname, join } from 'node:path'
import { PREFIX, failureIn, socketIn } from './messages.ts'

/** A directory that is younger may be one in which somebody is about to listen, in ms. */
const YOUNG = 10_000

/**
 * Removes what is left of programs, or of a Playwright, that were killed: directories beside this one on whose sockets nobody listens, or
 * with a failure that nobody has found. Never rejects.
 */
export async function sweepBeside(directory: string): Promise<void> {
  const folder = dirname(directory)
  const names = await readdir(folder).catch(() => [])
  const others = names.filter((name) => name.startsWith(PREFIX)).map((name) => join(folder, name))
  for (const other of others) {
    // Of another user's it is not ours to judge, nor can it be removed.
    if (await isLeft(other)) await rm(other, { recursive: true, force: true }).catch(() => {})
  }
}

async function isLeft(directory: string): Promise<boolean> {
  const made = await stat(directory).catch(() => undefined)
  if (made === undefined || Date.now() - made.mtimeMs < YOUNG) return false
  if (existsSync(failureIn(directory))) return true
  return new Promise((resolve) => {
    const socket = net.connect(socketIn(directory))
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
  })
}
