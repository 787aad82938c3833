import { Hono } from 'hono'
import type { Context } from 'hono'
import type { Database } from './db.ts'
import { addTodo, changeTodo, InvalidTodo, listTodos, parseTitle, removeTodo } from './todos.ts'
import type { TodoChange } from './todos.ts'

/** The JSON API. Every error is answered as `{ error }`. */
export function createApi(db: Database): Hono {
  const api = new Hono()

  api.get('/todos', async (c) => c.json(await listTodos(db)))

  api.post('/todos', async (c) => {
    const { title } = await readObject(c)
    return c.json(await addTodo(db, parseTitle(title)), 201)
  })

  api.patch('/todos/:id{[0-9]+}', async (c) => {
    const change = parseChange(await readObject(c))
    const todo = await changeTodo(db, c.req.param('id'), change)
    return todo ? c.json(todo) : notFound(c)
  })

  api.delete('/todos/:id{[0-9]+}', async (c) =>
    (await removeTodo(db, c.req.param('id'))) ? c.body(null, 204) : notFound(c),
  )

  api.all('*', notFound)

  api.onError((error, c) => {
    if (error instanceof InvalidTodo) return c.json({ error: error.message }, 400)
    console.error(error)
    return c.json({ error: 'Something went wrong' }, 500)
  })

  return api
}

function notFound(c: Context): Response {
  return c.json({ error: 'Not found' }, 404)
}

async function readObject(c: Context): Promise<Record<string, unknown>> {
  const body: unknown = await c.req.json().catch(() => undefined)
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new InvalidTodo('Send a JSON object')
  }
  return { ...body }
}

function parseChange({ title, done }: Record<string, unknown>): TodoChange {
  if (title === undefined && done === undefined) throw new InvalidTodo('Send title, done, or both')
  if (done !== undefined && typeof done !== 'boolean') {
    throw new InvalidTodo('done must be true or false')
  }
  return {
    ...(title !== undefined && { title: parseTitle(title) }),
    ...(done !== undefined && { done }),
  }
}
