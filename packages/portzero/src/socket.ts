import net from 'node:net'
import { PortzeroError, messageOf } from './errors.ts'
import type { NodeServer } from './types.ts'

// Kept before any capture replaces it: what is put on our own socket is never caught.
const listen = net.Server.prototype.listen

/** The part of a TCP handle that is used here. A server keeps it as `_handle`, which `listen()` accepts by that name. */
interface Handle {
  /** Its descriptor; -1 on Windows. */
  readonly fd: number
  close(): void
  /** Tells the address of a port; a pipe has no such thing. Returns the number of an error, or 0. */
  getsockname?(address: object): number
}

interface HandleOwner {
  _handle: Handle | null
}

/** Where to listen: a port of an address, 0 for any; or a socket that listens already, as this process has inherited it. */
export type Address = { readonly port: number } | { readonly fd: number }

/**
 * A socket that listens before there is an app, so that its URL is known to whoever builds the app.
 * Connections that come early wait, and are given to the server that is put on the socket.
 * Whoever binds it closes it.
 */
export class BoundSocket {
  readonly host: string
  readonly port: number
  readonly #holder: net.Server
  readonly #early: Set<net.Socket>
  readonly #address: net.AddressInfo
  /** What is taken off its socket when this one closes, with the address that it has there. */
  readonly #owners: Map<net.Server, ReturnType<net.Server['address']>>
  #closed = false

  private constructor(host: string, holder: net.Server, early: Set<net.Socket>) {
    this.host = host
    this.#address = holder.address() as net.AddressInfo
    this.port = this.#address.port
    this.#holder = holder
    this.#early = early
    this.#owners = new Map([[holder, this.#address]])
  }

  /**
   * Binds it. A server that is there already, and does not listen, may hold it from the beginning; it needs no `put()` then.
   * Throws `PORT_IN_USE` or `LISTEN_FAILED`.
   */
  static bind(host: string, address: Address, server?: NodeServer): Promise<BoundSocket> {
    const early = new Set<net.Socket>()
    const holder =
      server ?? net.createServer({ pauseOnConnect: true }, (socket) => keep(socket, early))
    return new Promise((resolve, reject) => {
      const failed = (cause: Error): void => reject(bindError(host, address, cause))
      holder.on('error', failed)
      listen.call(holder, { host, ...address, exclusive: true }, () => {
        holder.off('error', failed)
        resolve(new BoundSocket(host, holder, early))
      })
    })
  }

  /** The descriptor that a child process may inherit. */
  get fd(): number {
    return (this.#holder as unknown as HandleOwner)._handle?.fd ?? -1
  }

  /**
   * Makes `server` the one that answers on this socket. A server that already listens elsewhere keeps that address, and
   * answers on both. Emits the server's `'listening'` event, if it was not listening, on a later tick.
   */
  put(server: NodeServer): void {
    if (this.#closed) return
    letListen(server)
    this.#owners.set(server, server.listening ? server.address() : this.#address)
    const give = (socket: net.Socket): void => {
      server.emit('connection', socket)
      socket.resume()
    }
    if (server.listening) {
      this.#holder.removeAllListeners('connection').on('connection', give)
      this.#giveEarly(give)
      return
    }
    server.once('listening', () => this.#giveEarly(give))
    listen.call(server, this.#holder)
    // The handle has a new owner now.
    ;(this.#holder as unknown as HandleOwner)._handle = null
  }

  #giveEarly(give: (socket: net.Socket) => void): void {
    for (const socket of this.#early) {
      socket.removeAllListeners()
      give(socket)
    }
    this.#early.clear()
  }

  /** Stops accepting. Connections that were accepted stay as they are; those that still waited are dropped. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const [server, address] of this.#owners) stopAccepting(server, address)
    for (const socket of this.#early) socket.destroy()
    this.#early.clear()
  }
}

/** Handles that were closed, and that their servers keep. */
const closedHandles = new WeakSet<Handle>()

/**
 * Takes a server off its socket. Not with server.close(), which would at once close connections that a client may be sending on, and is
 * for the app to call: until then the server is for it as it was. It keeps the handle, as closing that again does nothing.
 */
function stopAccepting(server: net.Server, address: ReturnType<net.Server['address']>): void {
  const { _handle: handle } = server as unknown as HandleOwner
  if (handle === null || closedHandles.has(handle)) return
  if (handle.getsockname !== undefined) {
    handle.getsockname = (out) => {
      Object.assign(out, address)
      return 0
    }
  }
  handle.close()
  closedHandles.add(handle)
}

/** Lets a server listen again that was taken off its socket. */
function letListen(server: net.Server): void {
  const owner = server as unknown as HandleOwner
  if (owner._handle !== null && closedHandles.has(owner._handle)) owner._handle = null
}

function keep(socket: net.Socket, early: Set<net.Socket>): void {
  early.add(socket)
  // A client may give up while it waits.
  socket.on('error', () => socket.destroy())
  socket.on('close', () => early.delete(socket))
}

function bindError(host: string, address: Address, cause: NodeJS.ErrnoException): PortzeroError {
  const port = 'port' in address ? address.port : `of descriptor ${address.fd}`
  if (cause.code === 'EADDRINUSE') {
    return new PortzeroError(
      'PORT_IN_USE',
      `Port ${port} on ${host} is in use. Leave out the option 'port' to get a free one, or stop the program that holds it.`,
      { cause },
    )
  }
  const advice =
    cause.code === 'EACCES'
      ? "Ports below 1024 need privileges; leave out the option 'port'."
      : "Check the options 'host' and 'port': the address must be one of this machine's."
  return new PortzeroError(
    'LISTEN_FAILED',
    `Cannot listen on ${host} port ${port}: ${messageOf(cause)}. ${advice}`,
    { cause },
  )
}
