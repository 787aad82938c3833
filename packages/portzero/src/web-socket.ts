import type { Duplex } from 'node:stream'

// RFC 6455: a final frame (0x80) of type close (0x8), two bytes of payload, and the status code 1001, "going away".
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9])

/**
 * Tells the client of a WebSocket that the server goes away. The library that serves it sees the client's answer as a close
 * of the client's, and ends the connection.
 */
export function sayGoodbye(socket: Duplex): void {
  if (socket.writable) socket.write(GOING_AWAY)
}
