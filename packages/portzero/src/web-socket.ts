import type { Duplex } from 'node:stream'

// RFC 6455: a final frame (0x80) of type close (0x8), two bytes of payload, and the status code 1001, "going away".
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9])

// The only answer that opens it.
const ACCEPTED = 'HTTP/1.1 101'

/** Calls `accepted` when the app has given a client the WebSocket that it asked for. */
export function whenAccepted(socket: Duplex, accepted: () => void): void {
  const write = socket.write as (...args: unknown[]) => boolean
  socket.write = (...args: unknown[]): boolean => {
    // What is written first is the head of the answer.
    socket.write = write
    const result = write.apply(socket, args)
    if (startOf(args[0]) === ACCEPTED) accepted()
    return result
  }
}

function startOf(data: unknown): string {
  if (typeof data === 'string') return data.slice(0, ACCEPTED.length)
  return data instanceof Uint8Array
    ? Buffer.from(data.subarray(0, ACCEPTED.length)).toString('latin1')
    : ''
}

/**
 * Tells the client of a WebSocket that the server goes away. The library that serves it takes the client's answer for a close
 * of the client's, and ends the connection.
 */
export function sayGoodbye(socket: Duplex): void {
  if (!socket.writable) return
  socket.write(GOING_AWAY)
  // No frame may follow. The library would answer the client's answer, and Chromium takes that for a failure (1006).
  const end = socket.end.bind(socket)
  socket.write = (...args: unknown[]): boolean => {
    dropped(args)
    return true
  }
  socket.end = (...args: unknown[]): typeof socket => {
    dropped(args)
    return end()
  }
}

function dropped(args: unknown[]): void {
  const callback = args.at(-1)
  if (typeof callback === 'function') process.nextTick(callback)
}
