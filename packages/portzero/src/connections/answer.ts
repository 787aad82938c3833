import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerResponse, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Writable } from 'node:stream'
import { headOf } from './answer-head.ts'
import { drop } from './drop.ts'
import { put } from './put.ts'

/** What an answer is written to. */
export type Answer = ServerResponse | ServerHttp2Stream

/** True of an answer whose head is sent, and says that it is a stream of server-sent events. */
export function isEventStream(answer: Answer): boolean {
  const type =
    'sentHeaders' in answer
      ? sentType(answer)
      : (/^content-type:(.*)$/im.exec(headOf(answer))?.[1] ?? '')
  return type.trim().toLowerCase().startsWith('text/event-stream')
}

/** Node keeps the names as the app has written them. */
function sentType({ sentHeaders }: ServerHttp2Stream): string {
  const name = Object.keys(sentHeaders).find((given) => given.toLowerCase() === 'content-type')
  return name === undefined ? '' : String(sentHeaders[name])
}

/** Ends an event stream as if the app had, by that to which the app writes it. To the app, its client has gone. */
export function endEventStream(answer: Answer | Http2ServerResponse): void {
  // The app may not have heard of it yet, and write on.
  answer.on('error', () => {})
  if ('req' in answer && !answer.writableEnded) leaveUnfinished(answer)
  try {
    answer.end()
  } catch {
    // The app's own may refuse to, or Node, for want of a length that was promised: it is in flight until the grace is over.
    return
  }
  if ('req' in answer && !('stream' in answer)) return
  // Over HTTP/2 what is still to be sent would be lost by that.
  const writable: Writable = answer
  put(writable, 'write', (...args: unknown[]) => drop(args))
  put(writable, 'end', (...args: unknown[]) => {
    drop(args)
    return writable
  })
}

/**
 * Has an answer close as if it was not finished. By that what serves the app knows that its client has gone, and aborts the signal of its
 * request, or ends what it is made from: without a word the app would go on for ever.
 */
function leaveUnfinished(answer: ServerResponse | Http2ServerResponse): void {
  const not = { value: false }
  answer.prependOnceListener('close', () => {
    Reflect.defineProperty(answer, 'writableEnded', not)
    Reflect.defineProperty(answer, 'writableFinished', not)
  })
  // Over HTTP/2 Node says for each answer that it is finished.
  if ('stream' in answer) return
  // Some go by which of the two they hear first. Node does not say it again of what is closed.
  answer.prependOnceListener('finish', () => {
    Object.assign(answer, { destroyed: true, _closed: true })
    answer.emit('close')
  })
}

/** True of a request that waits to be told to go on: nothing more of it comes. */
export function isWaiting(answer: Answer, { headers }: IncomingMessage): boolean {
  const { _sent100: goesOn } = answer as ServerResponse & { _sent100: boolean }
  return headers.expect !== undefined && !goesOn
}

/** True of a request of which a part is still to come. */
export function isComing({ complete, headers }: IncomingMessage): boolean {
  const { 'transfer-encoding': coding, 'content-length': length = 0 } = headers
  return !complete && (coding !== undefined || Number(length) > 0)
}

/** True of a stream of HTTP/2 on which a part of the request is still to come. */
export function isAsked(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && stream.state.remoteClose === 0
}

/** True of a stream of HTTP/2 whose end is still to be sent: for want of trailers, or of room at its client. */
export function isUnended(stream: ServerHttp2Stream): boolean {
  return !stream.destroyed && stream.state.localClose === 0
}

/** Calls `pushed` with each stream that the app pushes along with this one, and what it answers. */
export function whenPushed(
  stream: ServerHttp2Stream,
  pushed: (stream: ServerHttp2Stream, asked: OutgoingHttpHeaders) => void,
): void {
  const push = stream.pushStream as (...args: unknown[]) => void
  put(stream, 'pushStream', (asked: OutgoingHttpHeaders, ...rest: unknown[]): void => {
    const given = rest.at(-1)
    // Node says what is wrong.
    if (typeof given !== 'function') return push.call(stream, asked, ...rest)
    const heard = (error: Error | null, answer: ServerHttp2Stream, ...more: unknown[]): void => {
      if (!error) pushed(answer, asked)
      ;(given as (...all: unknown[]) => void)(error, answer, ...more)
    }
    push.call(stream, asked, ...rest.slice(0, -1), heard)
  })
}
