import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'

/** What an answer is written to. */
export type Answer = ServerResponse | ServerHttp2Stream

/** True of an answer that has begun to be a stream of server-sent events, which has no end of its own. */
export function isEventStream(answer: Answer): boolean {
  if (!answer.headersSent) return false
  if ('sentHeaders' in answer) return isTyped(String(answer.sentHeaders['content-type'] ?? ''))
  // The head as it was sent: getHeader() does not know what writeHead() was given.
  const { _header: head } = answer as ServerResponse & { _header: string | null }
  const [, type = ''] = /^content-type:(.*)$/im.exec(head ?? '') ?? []
  return isTyped(type)
}

function isTyped(contentType: string): boolean {
  return contentType.trim().toLowerCase().startsWith('text/event-stream')
}

/** Ends an event stream as if the app had. */
export function endEventStream(answer: Answer): void {
  // The app may not have heard of it yet, and write on.
  answer.on('error', () => {})
  answer.end()
}
