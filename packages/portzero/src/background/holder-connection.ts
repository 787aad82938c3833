import net from 'node:net'
import { performance } from 'node:perf_hooks'
import { settlesWithin } from '../deadline.ts'
import type { HeldOrder, News, Order, Report } from '../messages/channel.ts'
import { Line } from '../messages/line.ts'
import type { Asked } from '../messages/line.ts'
import { channelOver } from '../messages/lines-channel.ts'
import { KEPT_LINES } from '../processes/output.ts'
import type { CloseReport } from '../types.ts'

/** News, but for what is printed. */
export type Heard = Exclude<News, { type: 'printed' }>

/** The line to a holder. It keeps this process alive until `unref()`, and then while an answer is awaited. */
export class HolderConnection {
  readonly line: Line
  /** Resolves when the other end is gone, or this one has let go. */
  readonly lost: Promise<undefined>
  /** Resolves when the server begins to close, if it is told so. */
  readonly closing: Promise<void>
  readonly #socket: net.Socket
  #awaited = 0
  /** What the server has printed of late, also before it was ready. */
  readonly output: string[] = []
  /** Takes the news; until somebody follows, they are kept. */
  #follow: (news: Heard) => void = (news) => this.#early.push(news)
  readonly #early: Heard[] = []

  /** Opens it. Whoever does calls `end()`. */
  constructor(address: string) {
    const socket = net.connect(address)
    this.#socket = socket
    this.lost = new Promise((resolve) => socket.once('close', () => resolve(undefined)))
    const channel = channelOver<Order | HeldOrder, Report | News>(socket)
    let close: () => void = () => {}
    this.closing = new Promise((resolve) => (close = resolve))
    this.line = new Line(channel, {
      news: (news) => {
        if (news.type === 'printed') return this.#print(news.line)
        if (news.type === 'closing') close()
        this.#follow(news)
      },
    })
  }

  /** Calls `listener` with all news, those included that have come already. */
  follow(listener: (news: Heard) => void): void {
    this.#follow = listener
    for (const news of this.#early.splice(0)) listener(news)
  }

  /** Resolves to the answer, or rejects with what `line.lose()` was told. */
  ask(order: Asked): Promise<CloseReport | undefined> {
    return this.holding(this.line.ask(order))
  }

  /** Keeps this process alive until `work` settles. */
  async holding<T>(work: Promise<T>): Promise<T> {
    this.#awaited += 1
    this.#socket.ref()
    try {
      return await work
    } finally {
      this.#awaited -= 1
      if (this.#awaited === 0) this.#socket.unref()
    }
  }

  unref(): void {
    this.#socket.unref()
  }

  end(): void {
    this.#socket.destroy()
  }

  #print(line: string): void {
    this.output.push(line)
    if (this.output.length > KEPT_LINES) this.output.shift()
  }
}

/** How long a holder may take to give up a start, in ms. */
const GIVE_UP = 5_000

/** Has a holder give up what it starts. Resolves when it is gone. */
export async function giveUp(address: string): Promise<CloseReport> {
  const startedAt = performance.now()
  const connection = new HolderConnection(address)
  connection.line.send({ type: 'exit' })
  await settlesWithin(connection.lost, GIVE_UP)
  connection.end()
  return { outcome: 'killed', durationMs: performance.now() - startedAt, blockers: [] }
}
