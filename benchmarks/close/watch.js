// @ts-check

/** What is known of one server from the inside: who is connected, what was begun, and when the app was done with it. */
export class Watch {
  /** When the app ended its last answer. */
  answeredAt = -Infinity
  #connections = 0
  #requests = 0
  /** @type {Set<import('node:net').Socket>} */
  #open = new Set()
  #changed = () => {}

  /** @param {import('node:net').Server} server */
  follow(server) {
    server.on('connection', (socket) => {
      this.#connections += 1
      this.#open.add(socket)
      socket.once('close', () => {
        this.#open.delete(socket)
        this.#changed()
      })
      this.#changed()
    })
  }

  begin() {
    this.#requests += 1
    this.#changed()
  }

  answered() {
    this.answeredAt = performance.now()
  }

  /**
   * Resolves when so many have come.
   * @param {{ connections?: number, requests?: number }} least
   */
  async arrived({ connections = 0, requests = 0 }) {
    while (this.#connections < connections || this.#requests < requests) await this.#change()
  }

  /** Resolves when no connection is open. A socket that is destroyed is closed; its 'close' event comes a turn of the event loop later. */
  async empty() {
    while ([...this.#open].some(({ destroyed }) => !destroyed)) await this.#change()
  }

  #change() {
    return new Promise((resolve) => (this.#changed = () => resolve(undefined)))
  }
}
