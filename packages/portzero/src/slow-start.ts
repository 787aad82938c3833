import { performance } from 'node:perf_hooks'
import { clearTimeout, setTimeout } from 'node:timers'

/** A start that takes longer than so many ms says what it waits for. */
const SLOW = 3_000

/** On a terminal the line is written anew after so many ms. Elsewhere the next line comes when twice the time has passed. */
const UPDATE = 1_000

/** Says on stderr what a start waits for, from time to time, until it is over. */
export async function telling<T>(waitsFor: () => string, start: Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const { stderr } = process
  let hasTold = false
  const tell = (): void => {
    const elapsed = performance.now() - startedAt
    const line = `portzero: starting for ${Math.round(elapsed / 1_000)} s, waits for ${waitsFor()}`
    if (stderr.isTTY) stderr.write(`${CLEAR}${line.slice(0, stderr.columns - 1)}`)
    else stderr.write(`${line}\n`)
    hasTold = true
    timer = setTimeout(tell, stderr.isTTY ? UPDATE : elapsed).unref()
  }
  let timer = setTimeout(tell, SLOW).unref()
  try {
    return await start
  } finally {
    clearTimeout(timer)
    if (hasTold && stderr.isTTY) stderr.write(CLEAR)
  }
}

/** Back to the begin of the line, and nothing on it. */
const CLEAR = '\r\u001B[2K'
