import { execFile } from 'node:child_process'
import { closeSync, openSync, readSync, readdirSync, readlinkSync } from 'node:fs'

/**
 * Says which processes hold a TCP socket that listens on a port, on whichever address: empty if none does, or only processes
 * of other users. With `candidates` only those processes are looked at, which is faster. `undefined` where it cannot be told.
 */
export async function pidsListeningOn(
  port: number,
  candidates?: readonly number[],
): Promise<number[] | undefined> {
  if (process.platform === 'linux') return pidsByProc(port, candidates)
  return pidsByLsof(port, candidates)
}

function pidsByProc(port: number, candidates?: readonly number[]): number[] | undefined {
  try {
    const sockets = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listening(table, port))
    if (sockets.length === 0) return []
    const links = new Set(sockets.map((inode) => `socket:[${inode}]`))
    return (candidates ?? allPids()).filter((pid) => holdsOne(pid, links))
  } catch {
    return undefined
  }
}

/** The inodes of the sockets that listen on a port. */
function listening(table: string, port: number): string[] {
  const found: string[] = []
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const line = new RegExp(`^ *\\d+: \\w+:${hex} \\w+:0000 0A (?:\\S+ +){5}(\\d+)`, 'gm')
  const buffer = Buffer.alloc(4096)
  const file = openTable(table)
  if (file === undefined) return found
  try {
    for (;;) {
      // The kernel hands out whole lines.
      const lines = buffer.toString('latin1', 0, readSync(file, buffer))
      for (const [, inode = ''] of lines.matchAll(line)) found.push(inode)
      // The sockets that listen come first, and the others may be many.
      const more = found.length === 0 || / 0A .*\n$/.test(lines)
      if (lines === '' || !more) return found
    }
  } finally {
    closeSync(file)
  }
}

// There is none of IPv6 where that is off.
function openTable(table: string): number | undefined {
  try {
    return openSync(table, 'r')
  } catch (error) {
    if (table.endsWith('6')) return undefined
    throw error
  }
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function holdsOne(pid: number, links: ReadonlySet<string>): boolean {
  try {
    const folder = `/proc/${pid}/fd`
    return readdirSync(folder).some((fd) => links.has(linkOf(`${folder}/${fd}`)))
  } catch {
    // It has ended, or is another user's.
    return false
  }
}

function linkOf(descriptor: string): string {
  try {
    return readlinkSync(descriptor)
  } catch {
    // Closed meanwhile.
    return ''
  }
}

/** How long `lsof` may take, in ms: it waits for file systems that do not answer. */
const LSOF_TIMEOUT = 5_000

/** The same by way of `lsof`, for systems without /proc. `undefined` if it is not installed. */
export function pidsByLsof(
  port: number,
  candidates?: readonly number[],
): Promise<number[] | undefined> {
  const args = ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t']
  if (candidates !== undefined) args.push('-a', '-p', candidates.join(','))
  if (candidates?.length === 0) return Promise.resolve([])
  return new Promise((resolve) => {
    execFile('lsof', args, { timeout: LSOF_TIMEOUT }, (error, output) => {
      // 1 is also what it ends with when it finds nothing.
      const told = error === null || error.code === 1
      resolve(told ? output.split('\n').filter(Boolean).map(Number) : undefined)
    })
  })
}
