import dgram from 'node:dgram'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { PortzeroError, messageOf } from '../errors.ts'

/** A port that no other portzero process takes. Whoever reserves it releases it, when the server that was given it has gone. */
export interface Reservation {
  readonly port: number
  /** Lets others have the port. May be called twice. */
  release(): void
}

/** The lowest port that is taken: below are those of well-known services, and those that browsers refuse. */
const LOWEST = 20_000
const HIGHEST = 65_535

/**
 * Picks a free port for a server that can only be told a number, and reserves it against every other process that does the
 * same, until it is released or this process ends, however it ends.
 *
 * Ports outside of the range are taken that the kernel gives to `listen(0)` and to outgoing connections, so that neither gets
 * the port before the server binds it. Where there are none outside, both are unlikely to meet one that is picked at random.
 *
 * Throws `LISTEN_FAILED`.
 */
export async function reservePort(host: string): Promise<Reservation> {
  const ports = (listed ??= listPorts())
  const start = Math.floor(Math.random() * ports.length)
  for (let i = 0; i < ports.length; i++) {
    const port = ports[(start + i) % ports.length] as number
    const lock = await lockPort(port)
    if (lock === undefined) continue
    try {
      if (await isFree(port, host)) return { port, release: lock }
    } catch (error) {
      lock()
      throw error
    }
    lock()
  }
  throw new PortzeroError(
    'LISTEN_FAILED',
    `None of ${ports.length} ports from ${ports[0]} to ${ports.at(-1)} is free on ${host}. Stop programs that hold them.`,
  )
}

/** Listed once: that takes as long as the rest of a reservation. */
let listed: readonly number[] | undefined

function listPorts(): number[] {
  const outside = portsOutside(ephemeralRange())
  return outside.length > 0 ? outside : portsOutside([0, 0])
}

/** All even ones: each has the odd one above it for its lock. */
function portsOutside([first, last]: readonly [number, number]): number[] {
  const ports: number[] = []
  for (let port = LOWEST; port < HIGHEST; port += 2) {
    if (port + 1 < first || port > last) ports.push(port)
  }
  return ports
}

/** The ports that the kernel gives away by itself: on Linux it says which, elsewhere it is the range that IANA set aside. */
function ephemeralRange(): [number, number] {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    const [first, last] = text.trim().split(/\s+/).map(Number)
    if (first !== undefined && last !== undefined) return [first, last]
  } catch {
    // Not Linux.
  }
  return [49_152, 65_535]
}

/**
 * Locks a port, unless another process has. The lock is a UDP socket, as that takes no TCP port away, works on every system
 * for all of its users, counts where the port counts (in one container or in all), and is gone with its process. It sits one
 * port higher, as a server may speak QUIC on its own.
 */
function lockPort(port: number): Promise<(() => void) | undefined> {
  const lock = dgram.createSocket({ type: 'udp4' })
  let locked = true
  const unlock = (): void => {
    if (locked) lock.close()
    locked = false
  }
  return new Promise((resolve, reject) => {
    lock.on('error', (cause: NodeJS.ErrnoException) => {
      unlock()
      if (isTaken(cause)) return resolve(undefined)
      reject(
        new PortzeroError('LISTEN_FAILED', `Cannot reserve a port: ${messageOf(cause)}.`, {
          cause,
        }),
      )
    })
    lock.bind({ address: '127.0.0.1', port: port + 1, exclusive: true }, () => {
      // Whatever is sent there does not matter, nor does it unlock.
      lock.removeAllListeners('error').on('error', () => {})
      lock.unref()
      resolve(unlock)
    })
  })
}

/** EACCES: Windows keeps ports for itself. */
function isTaken({ code }: NodeJS.ErrnoException): boolean {
  return code === 'EADDRINUSE' || code === 'EACCES'
}

/** Says whether a server could listen on a port right now. Throws `LISTEN_FAILED` if it is not for the port that it could not. */
async function isFree(port: number, host: string): Promise<boolean> {
  if (!(await canListen({ port, host }))) return false
  // Servers often listen on all addresses, whatever they are told. Windows asks its user before it lets one.
  return process.platform === 'win32' || canListen({ port })
}

function canListen(address: { port: number; host?: string }): Promise<boolean> {
  const probe = net.createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      if (isTaken(cause)) return resolve(false)
      const where = address.host ?? 'all addresses'
      reject(
        new PortzeroError(
          'LISTEN_FAILED',
          `Cannot listen on ${where}: ${messageOf(cause)}. Check the option 'host': the address must be one of this machine's.`,
          { cause },
        ),
      )
    })
    probe.listen({ ...address, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
