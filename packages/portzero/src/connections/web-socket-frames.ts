/** The type of the last frame that a side sends. */
const CLOSE = 0x8

/** Where in the frames of a WebSocket what was sent of them has come: https://datatracker.ietf.org/doc/html/rfc6455#section-5.2 */
export class Frames {
  /** What has come of the head of a frame. */
  readonly #head: number[] = []
  /** What is still to come of its payload, in bytes. */
  #left = 0
  #isLast = false

  /** Takes what is sent up to the end of a frame, from a position on. Returns how far that is. */
  take(chunk: Uint8Array, from = 0): number {
    let at = from
    while (at < chunk.length) {
      if (this.#left === 0) {
        this.#head.push(chunk[at] ?? 0)
        at += 1
        this.#begin()
      } else {
        const taken = Math.min(this.#left, chunk.length - at)
        this.#left -= taken
        at += taken
      }
      if (this.isBetween) break
    }
    return at
  }

  /** True where a frame may begin. */
  get isBetween(): boolean {
    return this.#left === 0 && this.#head.length === 0
  }

  /** True once the last frame has begun. */
  get isLast(): boolean {
    return this.#isLast
  }

  /** Begins a payload, if the head before it is whole. */
  #begin(): void {
    const [first, second] = this.#head
    if (first === undefined || second === undefined) return
    const short = second & 0x7f
    const size = { 126: 2, 127: 8 }[short] ?? 0
    const mask = second & 0x80 ? 4 : 0
    if (this.#head.length < 2 + size + mask) return
    const long = this.#head.slice(2, 2 + size)
    this.#left = size === 0 ? short : long.reduce((length, byte) => length * 256 + byte, 0)
    this.#isLast ||= (first & 0x0f) === CLOSE
    this.#head.length = 0
  }
}
