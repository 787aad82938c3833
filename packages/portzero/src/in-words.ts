import type { Blocker, InFlight } from './types.ts'

/** Says what holds a server up: `GET /slow, unanswered for 1200 ms (test "lists")`. */
export function inWords({ kind, method, path, ageMs, test }: Blocker | InFlight): string {
  const age = `${ageMs.toFixed(0)} ms`
  const origin = test === undefined ? '' : ` (test "${test}")`
  switch (kind) {
    case 'hook':
      return `the close hook '${method}', running for ${age}`
    case 'upgrade':
      return `${method} ${path}, an upgraded connection, open for ${age}${origin}`
    case 'stream':
      return `${method} ${path}, an event stream, open for ${age}${origin}`
    case 'request':
      return `${method} ${path}, unanswered for ${age}${origin}`
  }
}
