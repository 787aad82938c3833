import { setImmediate } from 'node:timers/promises'

/** Turns of the event loop in which a client in this process reads an answer, sends a request, and the request arrives. */
export const TURNS = 3

/** Resolves after so many turns of the event loop, in each of which all is read that has come by then. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await setImmediate()
}
