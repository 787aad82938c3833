import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { channelOver, turns } from 'portzero/apart'
import { HeldServer } from './held-server.ts'
import { failureIn, socketIn } from './messages.ts'
import { sweepBeside } from './sweep.ts'
import type { Answer, LogLine, News, Question, ServerSpec, Told } from './messages.ts'

/** Turns of the event loop in which all is read that a server printed before its answer. */
const READ = 3

/** Holds all servers of the configuration, for the programs of the other entries and for the tests. Whoever opens it ends it. */
export class Holder {
  readonly #directory: string
  readonly #servers: readonly HeldServer[]
  readonly #listener: net.Server
  readonly #connections = new Set<net.Socket>()

  private constructor(directory: string, specs: readonly ServerSpec[]) {
    this.#directory = directory
    this.#listener = net.createServer({ allowHalfOpen: true }, (socket) => this.#welcome(socket))
    this.#servers = specs.map((spec) => new HeldServer(spec))
  }

  /**
   * Starts them, all at the same time. Resolves to nothing if the program of another entry holds them: the directory is made by one
   * alone, and open to its user alone.
   */
  static async open({ directory, servers }: Told): Promise<Holder | undefined> {
    try {
      await mkdir(directory, { mode: 0o700 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
      throw error
    }
    const holder = new Holder(directory, servers)
    await holder.#listen()
    void sweepBeside(directory)
    return holder
  }

  /**
   * Calls `hear` with the news of a server, from the first on. If another one cannot be started, that is said at once too: Playwright
   * would come to know of it only when it comes to its entry.
   */
  follow(name: string, hear: (news: News) => void): void {
    for (const server of this.#servers) {
      server.follow((news) => {
        if (server.name === name || news.type === 'failed') hear(news)
      })
    }
  }

  /** Closes all servers, and lets go of the others. The directory is gone then, unless Playwright is to find a failure in it. */
  async end(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.end()))
    for (const socket of this.#connections) socket.end()
    this.#listener.close()
    if (this.#servers.some(({ hasFailed }) => hasFailed)) {
      await writeFile(failureIn(this.#directory), '')
    } else await rm(this.#directory, { recursive: true, force: true })
  }

  async #listen(): Promise<void> {
    this.#listener.listen(socketIn(this.#directory))
    await once(this.#listener, 'listening')
  }

  #welcome(socket: net.Socket): void {
    this.#connections.add(socket)
    let end = async (): Promise<void> => {}
    const channel = channelOver<Answer, Question>(socket)
    channel.listen((question) => {
      if (question.type === 'follow') {
        const server = this.#servers.find(({ name }) => name === question.name)
        server?.follow((news) => channel.send(news))
        end = async () => server?.end()
      } else {
        void this.#logSince(question.since).then((lines) => channel.send({ type: 'log', lines }))
      }
    })
    // The other side ends, or is gone.
    socket.once('end', () => void end().then(() => socket.end()))
    socket.once('close', () => {
      this.#connections.delete(socket)
      void end()
    })
  }

  async #logSince(time: number): Promise<LogLine[]> {
    await turns(READ)
    const lines = this.#servers.flatMap((server) => server.since(time))
    return lines.toSorted((a, b) => a.at - b.at).map(({ name, line }) => ({ name, line }))
  }
}
