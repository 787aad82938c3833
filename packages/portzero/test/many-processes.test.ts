import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'

const PROCESSES = 8
const ROUNDS = [1, 2, 3, 4, 5]
const BURST = 40

let children: ChildProcess[] = []

beforeAll(async () => {
  children = Array.from({ length: PROCESSES }, () =>
    fork(new URL('serves-many.js', import.meta.url)),
  )
  await Promise.all(children.map((child) => once(child, 'message')))
})

afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

test.each(ROUNDS)(
  `${PROCESSES} processes that start ${BURST} servers each, at once, reach their own: round %i`,
  async () => {
    const strangers = await Promise.all(
      children.map(async (child) => {
        child.send(BURST)
        const [ports] = (await once(child, 'message')) as [number[]]
        return ports
      }),
    )
    expect(strangers.flat()).toEqual([])
  },
)
