import { setImmediate } from 'node:timers'

/** Turns of the event loop in which a client in this process reads an answer, sends a request, and the request arrives. */
export const TURNS = 3

/** Resolves after so many turns of the event loop, in each of which all is read that has come by then. */
export function turns(count: number): Promise<void> {
  return new Promise((resolve) => {
    const next = (left: number): void => {
      if (left === 0) resolve()
      else setImmediate(next, left - 1)
    }
    next(count)
  })
}
