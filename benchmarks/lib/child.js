// @ts-check
import { fork } from 'node:child_process'

/**
 * A program in a process of its own, which answers each question with one message. Whoever makes it calls `end()`.
 * @template Answer
 */
export class Child {
  #process

  /**
   * @param {URL} program
   * @param {readonly string[]} args
   */
  constructor(program, args) {
    this.#process = fork(program, args)
  }

  /**
   * The program's next message; with a question, that is asked first.
   * @param {number} [question]
   * @returns {Promise<Answer>}
   */
  ask(question) {
    return new Promise((resolve, reject) => {
      const died = (/** @type {number | null} */ code) =>
        reject(new Error(`${this.#process.spawnargs.join(' ')} ended with exit code ${code}`))
      this.#process.once('exit', died)
      this.#process.once('message', (answer) => {
        this.#process.off('exit', died)
        resolve(/** @type {Answer} */ (answer))
      })
      if (question !== undefined) this.#process.send(question)
    })
  }

  end() {
    this.#process.kill()
  }
}
