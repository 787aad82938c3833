// @ts-check
import { fork } from 'node:child_process'

/** @typedef {import('./closers.js').CloserName} CloserName */
/** @typedef {import('./closers.js').Certificate} Certificate */

/**
 * @typedef {object} Opening what to open
 * @property {Certificate | undefined} [certificate]
 * @property {boolean | undefined} [webSockets]
 */

/**
 * @typedef {object} Moment when to close
 * @property {number} [connections] that have come by then
 * @property {number} [requests] that have begun by then
 * @property {number} [after] ms after that
 */

/**
 * @typedef {object} Closed
 * @property {number} ms from the call until it is done and no connection is open
 * @property {number} afterWork the part of it after the app had ended its last answer
 */

/** Servers with one closer, one at a time, in a process of their own. Whoever makes it calls `end()`. */
export class ClosingServer {
  #process

  /** @param {CloserName} closer */
  constructor(closer) {
    this.#process = fork(new URL('server.js', import.meta.url), [closer], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    // A question to one that has crashed is answered by 'exit'.
    this.#process.on('error', () => {})
  }

  /**
   * Resolves to the port.
   * @param {Opening} opening
   */
  async open(opening) {
    const port = await this.#ask({ open: opening })
    if (port === 'crashed') throw new Error(`${this.#process.spawnargs.at(-1)} did not open`)
    return /** @type {number} */ (port)
  }

  /**
   * @param {Moment} moment
   * @returns {Promise<Closed | 'crashed'>}
   */
  async close(moment) {
    return /** @type {Closed | 'crashed'} */ (await this.#ask({ close: moment }))
  }

  end() {
    this.#process.kill('SIGKILL')
  }

  /**
   * @param {object} question
   * @returns {Promise<unknown>}
   */
  #ask(question) {
    return new Promise((resolve) => {
      const answered = (/** @type {unknown} */ answer) => {
        this.#process.off('exit', died)
        resolve(answer)
      }
      const died = () => {
        this.#process.off('message', answered)
        resolve('crashed')
      }
      this.#process.once('exit', died).once('message', answered)
      this.#process.send(question)
    })
  }
}
