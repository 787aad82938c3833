import type { LiveServer } from '@portzero/vitest'
import type { Todo } from '../../src/todos.ts'

/** Sends `body` as JSON. */
export function send(
  server: LiveServer,
  method: string,
  path: string,
  body: unknown,
): Promise<Response> {
  return server.fetch(path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

export async function add(server: LiveServer, title: string): Promise<Todo> {
  const response = await send(server, 'POST', '/api/todos', { title })
  return (await response.json()) as Todo
}

export async function list(server: LiveServer): Promise<Todo[]> {
  const response = await server.fetch('/api/todos')
  return (await response.json()) as Todo[]
}
