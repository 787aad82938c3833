import { expect, test } from 'vitest'
import { PortzeroError } from '../dist/errors.js'
import { onItsPort } from '../dist/its-port.js'
import { failure } from './support.ts'

const going = new AbortController().signal

/** Somebody has the port for so many tries. */
function takenFor(tries: number): () => Promise<string> {
  return async () => {
    tries -= 1
    if (tries >= 0) throw new PortzeroError('PORT_IN_USE', 'taken')
    return 'begun'
  }
}

test('begins on a port that somebody had for a moment', async () => {
  expect(await onItsPort(takenFor(3), going)).toBe('begun')
})

test('is refused where the port stays taken', async () => {
  expect((await failure(onItsPort(takenFor(Infinity), going))).code).toBe('PORT_IN_USE')
})

test('is not tried again once it is given up', async () => {
  const error = await failure(onItsPort(takenFor(1), AbortSignal.abort()))
  expect(error.code).toBe('PORT_IN_USE')
})

test('is not tried again for another reason', async () => {
  let tries = 0
  const begin = (): Promise<never> => {
    tries += 1
    throw new PortzeroError('START_FAILED', 'ended')
  }
  const error = await failure(onItsPort(begin, going))
  expect([error.code, tries]).toEqual(['START_FAILED', 1])
})
