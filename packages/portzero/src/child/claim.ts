import { readFileSync } from 'node:fs'
import net from 'node:net'

// Kept before any capture replaces it.
const listen = net.Server.prototype.listen

/**
 * Claims a socket that many processes have inherited, as one has to answer on it: each of several would get a part of the
 * connections. Returns false if another one has claimed it. A claim ends with its process.
 *
 * It is a name that Linux lets one socket have, without a file. Nothing of the kind ends with its process elsewhere: there
 * all may have it.
 */
export function claim(inode: number): boolean {
  if (process.platform !== 'linux') return true
  // Whoever is connected hears of that.
  const holder = net.createServer((socket) =>
    socket
      .unref()
      .resume()
      .on('error', () => {}),
  )
  // What became of it is known at once, before the event.
  holder.on('error', () => {})
  listen.call(holder, { path: `\0${nameOf(inode)}`, exclusive: true })
  holder.unref()
  return holder.listening
}

/** Resolves when the process is gone that has claimed a socket; never where that cannot be told. Keeps nothing alive. */
export function unclaimed(inode: number): Promise<void> {
  return new Promise((resolve) => {
    if (process.platform !== 'linux') return
    const socket = net
      .connect({ path: `\0${nameOf(inode)}` })
      .unref()
      .resume()
    let wasThere = false
    socket.once('connect', () => (wasThere = true))
    socket.on('error', () => {})
    socket.once('close', () => {
      if (wasThere || isUnclaimed(inode)) resolve()
    })
  })
}

/** Says whether the process is gone that has claimed a socket; false where that cannot be told. */
export function isUnclaimed(inode: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    // It may be filled up to its full length with zeros, which are shown as '@'.
    return !new RegExp(`@${nameOf(inode)}@*$`, 'm').test(readFileSync('/proc/net/unix', 'latin1'))
  } catch {
    return false
  }
}

function nameOf(inode: number): string {
  return `portzero-${inode}`
}
