import { once } from 'node:events'
import net from 'node:net'
import { channelOver } from 'portzero/apart'
import { socketIn } from './messages.ts'
import type { Answer, News, Question, Told } from './messages.ts'

/** Follows a server that the program of another entry holds. */
export class Follower {
  readonly #socket: net.Socket
  readonly #gone: Promise<unknown>
  #isEnding = false

  private constructor(socket: net.Socket) {
    this.#socket = socket
    this.#gone = new Promise((resolve) => socket.once('close', resolve))
  }

  /** Resolves to nothing if there is no such program any more: it was killed. */
  static async open({ directory }: Told): Promise<Follower | undefined> {
    const socket = net.connect(socketIn(directory))
    try {
      await once(socket, 'connect')
      return new Follower(socket)
    } catch {
      return undefined
    }
  }

  /** Calls `hear` with the news of the server, from the first on. */
  follow(name: string, hear: (news: News) => void): void {
    const channel = channelOver<Question, Answer>(this.#socket)
    channel.listen((answer) => {
      if (answer.type !== 'log') hear(answer)
    })
    channel.send({ type: 'follow', name })
    this.#socket.once('close', () => {
      if (this.#isEnding) return
      hear({ type: 'failed', message: `${name} has ended with the program that ran it.` })
    })
  }

  /** Has the server closed, and resolves when it is. */
  async end(): Promise<void> {
    this.#isEnding = true
    this.#socket.end()
    await this.#gone
  }
}
