/** Where some wait for each other: nobody goes on until all have come, and then all do in the same turn of the event loop. */
export class Meeting {
  readonly #complete: Promise<void>
  #begin: () => void = () => {}
  #missing: number

  /** It is off when `signal` aborts: those who wait, and who still come, get its reason. */
  constructor(count: number, signal: AbortSignal) {
    this.#missing = count
    this.#complete = new Promise((resolve, reject) => {
      this.#begin = resolve
      const callOff = (): void => reject(signal.reason as Error)
      if (signal.aborted) callOff()
      else signal.addEventListener('abort', callOff, { once: true })
    })
    // Perhaps nobody has come yet.
    this.#complete.catch(() => {})
  }

  /** A place for one of them, who may come more than once. */
  place(): () => Promise<void> {
    let hasCome = false
    return () => {
      if (!hasCome) {
        hasCome = true
        this.#missing -= 1
        if (this.#missing === 0) this.#begin()
      }
      return this.#complete
    }
  }
}
