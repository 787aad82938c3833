import type { ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { onHead } from './answer-head.ts'
import { drop } from './drop.ts'
import { put } from './put.ts'
import { Frames } from './web-socket-frames.ts'

/** RFC 6455, "going away". */
const GOING_AWAY = 1001

/** A final frame (0x80) of type close (0x8), and two bytes of payload: the code. */
const GOODBYE = Buffer.from([0x88, 0x02, GOING_AWAY >> 8, GOING_AWAY & 0xff])

// The only answer that opens it.
const ACCEPTED = 'HTTP/1.1 101'

type Write = (...args: unknown[]) => boolean

/** A WebSocket that the app has accepted: what it writes to its client goes through here. */
export class ServedWebSocket {
  readonly #stream: Duplex
  readonly #write: Write
  readonly #frames = new Frames()
  #isLeaving = false
  #isDismissed = false

  /** `write` is that of the stream. */
  constructor(stream: Duplex, write: Write) {
    this.#stream = stream
    this.#write = write
  }

  /** What the app gives to `write()`. */
  write(args: unknown[]): boolean {
    // No frame may follow.
    if (this.#isDismissed) return drop(args)
    const bytes = bytesOf(args)
    const end = this.sent(bytes)
    const given = end < bytes.length ? [bytes.subarray(0, end), ...args.slice(1)] : args
    const result = this.#write.apply(this.#stream, given)
    if (this.#isLeaving) this.#sayGoodbye()
    return result
  }

  /** Takes note of frames that are sent. Returns how much of them may be: all, or up to the end of a frame if the server goes away. */
  sent(frames: Uint8Array): number {
    let at = 0
    do at = this.#frames.take(frames, at)
    while (at < frames.length && !this.#isLeaving)
    return at
  }

  /**
   * Tells the client that the server goes away, behind what the app has sent. The library that serves the WebSocket takes the client's
   * answer for a close of the client's, and ends the connection.
   */
  dismiss(): void {
    const library = compressing(this.#stream)
    if (library !== undefined) return library.close(GOING_AWAY)
    // At once, or behind the frame that is under way: a relay writes whatever part of one it has.
    this.#isLeaving = true
    this.#sayGoodbye()
  }

  #sayGoodbye(): void {
    const stream = this.#stream
    // What the app has closed is: a second frame of that kind is a failure to Chromium (1006).
    if (this.#isDismissed || this.#frames.isLast) return
    if (!stream.writable || !this.#frames.isBetween) return
    this.#write.call(stream, GOODBYE)
    // The library would answer the client's answer, and Chromium takes that for a failure (1006).
    this.#isDismissed = true
    const end = stream.end.bind(stream)
    put(stream, 'end', (...args: unknown[]): typeof stream => {
      drop(args)
      return end()
    })
  }
}

/** Calls `accepted` when the app has given a client the WebSocket that it asked for. */
export function whenAccepted(socket: Duplex, accepted: (webSocket: ServedWebSocket) => void): void {
  const write = socket.write as Write
  let head: string | undefined = ''
  let webSocket: ServedWebSocket | undefined
  const heard: Write = (...args) => {
    if (webSocket !== undefined) return webSocket.write(args)
    const result = write.apply(socket, args)
    if (head === undefined) return result
    head += Buffer.from(bytesOf(args)).toString('latin1')
    const isAccepted = head.startsWith(ACCEPTED)
    const end = head.indexOf('\r\n\r\n')
    if (end === -1 && (isAccepted || ACCEPTED.startsWith(head))) return result
    if (isAccepted) {
      webSocket = new ServedWebSocket(socket, write)
      webSocket.sent(Buffer.from(head.slice(end + 4), 'latin1'))
      accepted(webSocket)
    } else if (socket.write === heard) {
      // A library may have put its own in the place of this one, and call it for ever.
      socket.write = write
    }
    head = undefined
    return result
  }
  put(socket, 'write', heard)
}

/** The same of one that was asked for over HTTP/2: https://datatracker.ietf.org/doc/html/rfc8441 */
export function whenAcceptedOver(
  stream: ServerHttp2Stream,
  accepted: (webSocket: ServedWebSocket) => void,
): void {
  onHead(
    stream,
    () => false,
    () => {
      // A text, where the app has given all headers as an array of such.
      if (Number(stream.sentHeaders[':status']) !== 200) return
      const webSocket = new ServedWebSocket(stream, stream.write as Write)
      put(stream, 'write', (...args: unknown[]) => webSocket.write(args))
      accepted(webSocket)
    },
  )
}

interface WebSocketOfWs {
  /** What it has yet to compress, and what the stream has yet to send. */
  readonly bufferedAmount: number
  /** Says goodbye behind all of that. */
  close(code: number): void
}

/**
 * What serves a WebSocket while it compresses messages, which is done in other threads. ws, which nearly all libraries are made of, notes it on
 * the stream.
 */
function compressing(stream: Duplex): WebSocketOfWs | undefined {
  const key = Object.getOwnPropertySymbols(stream).find(
    ({ description }) => description === 'websocket',
  )
  if (key === undefined) return undefined
  const { [key]: library } = stream as unknown as Record<symbol, WebSocketOfWs | undefined>
  const isCompressing = library !== undefined && library.bufferedAmount > stream.writableLength
  return isCompressing ? library : undefined
}

function bytesOf([chunk, encoding]: unknown[]): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  if (ArrayBuffer.isView(chunk))
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const known = typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8'
  return typeof chunk === 'string' ? Buffer.from(chunk, known) : new Uint8Array()
}
