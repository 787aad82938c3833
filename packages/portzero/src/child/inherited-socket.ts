import type net from 'node:net'
import type { NodeServer } from '../types.ts'

/** The part of a TCP handle that is used here. */
interface Handle {
  onconnection: (this: Handle, status: number, connection: unknown) => void
  close(): void
  ref(): void
  unref(): void
}

type Listen = (this: net.Server, target: Handle | { fd: number }) => net.Server

/**
 * A socket that this process has inherited. It outlasts the server that is put on it, as a program that is configured anew
 * closes one and opens another: what is asked meanwhile waits. It does not keep the process alive then.
 */
export class InheritedSocket {
  readonly #fd: number
  readonly #listen: Listen
  #handle: Handle | undefined
  #server: NodeServer | undefined
  #waiting: unknown[] = []
  #isOver = false

  constructor(fd: number, listen: net.Server['listen']) {
    this.#fd = fd
    this.#listen = listen as Listen
  }

  /** False while a server is on it. */
  get isFree(): boolean {
    return this.#server === undefined && !this.#isOver
  }

  put(server: NodeServer): void {
    this.#server = server
    if (this.#handle === undefined) {
      this.#listen.call(server, { fd: this.#fd })
      this.#keep((server as unknown as { _handle: Handle })._handle)
      return
    }
    const handle = this.#handle
    handle.ref()
    this.#listen.call(server, handle)
    server.once('listening', () => {
      for (const connection of this.#waiting.splice(0)) handle.onconnection(0, connection)
    })
  }

  /** It is closed with the server that is on it now. */
  end(): void {
    this.#isOver = true
  }

  #keep(handle: Handle): void {
    this.#handle = handle
    const close = handle.close.bind(handle)
    handle.close = () => {
      this.#server = undefined
      if (this.#isOver) return close()
      handle.unref()
      handle.onconnection = (_status, connection) => void this.#waiting.push(connection)
    }
  }
}
