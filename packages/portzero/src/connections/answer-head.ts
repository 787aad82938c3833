import type { ServerResponse } from 'node:http'
import type { Answer } from './answer.ts'
import { put } from './put.ts'

/**
 * Waits for the head of an answer: `isLast` is asked when the app gives it, and has it tell the client that no further answer comes on the
 * connection; `after` is called when that is done.
 */
export function onHead(answer: Answer, isLast: () => boolean, after: () => void): void {
  if ('sentHeaders' in answer) {
    const { respond } = answer
    put(answer, 'respond', (...head) => {
      respond.apply(answer, head)
      after()
    })
    return
  }
  const writeHead = answer.writeHead as (...head: unknown[]) => ServerResponse
  put(answer, 'writeHead', (...head: unknown[]) => {
    const given = isLast() ? sayLast(answer, head) : head
    writeHead.apply(answer, given)
    after()
    return answer
  })
}

/** Node adds the header where it writes the head; one set before would have it drop what an app gives twice in an array. */
function sayLast(answer: ServerResponse, head: unknown[]): unknown[] {
  answer.shouldKeepAlive = false
  const value = answer.getHeader('connection')
  const { _removedConnection: isRemoved } = answer as ServerResponse & {
    _removedConnection?: boolean
  }
  if (isRemoved) answer.setHeader('connection', 'close')
  else if (value !== undefined)
    answer.setHeader('connection', instead('connection', value) as string)
  return head.map(withClose)
}

/** Headers in any of the forms that `writeHead()` takes, without the app's word that the connection stays. */
function withClose(headers: unknown): unknown {
  if (typeof headers !== 'object' || headers === null) return headers
  if (!Array.isArray(headers)) {
    return Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, instead(name, value)]),
    )
  }
  return headers.map((one: unknown, index) => {
    if (Array.isArray(one)) return withClose(one)
    return index % 2 === 0 ? one : instead(headers[index - 1], one)
  })
}

function instead(name: unknown, value: unknown): unknown {
  const isKept =
    String(name).toLowerCase() === 'connection' && /\bkeep-alive\b/i.test(String(value))
  return isKept ? 'close' : value
}

/** True of an answer that has told its client that no further one comes on the connection. */
export function saysLast(answer: Answer): boolean {
  return 'req' in answer && /^connection:.*\bclose\b/im.test(headOf(answer))
}

/** As it was sent: getHeader() does not know what writeHead() was given. */
export function headOf(answer: ServerResponse): string {
  return (answer as ServerResponse & { _header: string | null })._header ?? ''
}
