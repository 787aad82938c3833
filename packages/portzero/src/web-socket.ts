import type { Duplex } from 'node:stream'

// RFC 6455: a final frame (0x80) of type close (0x8), two bytes of payload, and the status code 1001, "going away".
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9])

// The only answer that opens it.
const ACCEPTED = 'HTTP/1.1 101'

/** Those whose client was told to go: no frame may follow. */
const dismissed: WeakSet<Duplex> = new WeakSet()

/** Calls `accepted` when the app has given a client the WebSocket that it asked for. */
export function whenAccepted(socket: Duplex, accepted: () => void): void {
  const write = socket.write as (...args: unknown[]) => boolean
  let head: string | undefined = ''
  const heard = (...args: unknown[]): boolean => {
    if (dismissed.has(socket)) return drop(args)
    const result = write.apply(socket, args)
    if (head === undefined) return result
    head += textOf(args[0])
    const isAccepted = head.startsWith(ACCEPTED)
    const isWhole = head.includes('\r\n\r\n') || !(isAccepted || ACCEPTED.startsWith(head))
    if (!isWhole) return result
    head = undefined
    // A library may have put its own in the place of this one, and call it for ever.
    if (socket.write === heard) socket.write = write
    if (isAccepted) accepted()
    return result
  }
  socket.write = heard
}

function textOf(data: unknown): string {
  if (typeof data === 'string') return data
  return data instanceof Uint8Array ? Buffer.from(data).toString('latin1') : ''
}

/**
 * Tells the client of a WebSocket that the server goes away. The library that serves it takes the client's answer for a close
 * of the client's, and ends the connection.
 */
export function sayGoodbye(socket: Duplex): void {
  if (!socket.writable || dismissed.has(socket)) return
  socket.write(GOING_AWAY)
  // The library would answer the client's answer, and Chromium takes that for a failure (1006).
  dismissed.add(socket)
  const end = socket.end.bind(socket)
  socket.write = (...args: unknown[]): boolean => drop(args)
  socket.end = (...args: unknown[]): typeof socket => {
    drop(args)
    return end()
  }
}

function drop(args: unknown[]): true {
  const callback = args.at(-1)
  if (typeof callback === 'function') process.nextTick(callback)
  return true
}
