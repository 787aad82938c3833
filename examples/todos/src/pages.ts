import { Hono } from 'hono'
import type { Context } from 'hono'
import type { Database } from './db.ts'
import { addTodo, changeTodo, InvalidTodo, listTodos, parseTitle, removeTodo } from './todos.ts'
import { errorPage, todosPage } from './views.ts'

/** The HTML pages. They work without a script: each action is a form, answered with a redirect to the list. */
export function createPages(db: Database): Hono {
  const pages = new Hono()

  pages.get('/', async (c) => c.html(todosPage(await listTodos(db))))

  pages.post('/todos', async (c) => {
    const { title } = await c.req.parseBody()
    try {
      await addTodo(db, parseTitle(title))
    } catch (error) {
      if (!(error instanceof InvalidTodo)) throw error
      const entered = typeof title === 'string' ? title : ''
      return c.html(todosPage(await listTodos(db), { entered, message: error.message }), 400)
    }
    return c.redirect('/', 303)
  })

  pages.post('/todos/:id{[0-9]+}/toggle', async (c) => {
    const { done } = await c.req.parseBody()
    const todo = await changeTodo(db, c.req.param('id'), { done: done === 'true' })
    return todo ? c.redirect('/', 303) : notFound(c)
  })

  pages.post('/todos/:id{[0-9]+}/delete', async (c) =>
    (await removeTodo(db, c.req.param('id'))) ? c.redirect('/', 303) : notFound(c),
  )

  pages.all('*', notFound)

  return pages
}

function notFound(c: Context): Response | Promise<Response> {
  return c.html(errorPage('Nothing here', 'It may have been deleted already.'), 404)
}
