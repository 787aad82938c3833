import type { Database } from './db.ts'

export interface Todo {
  id: number
  title: string
  done: boolean
}

/** What may be changed in a todo. */
export type TodoChange = Partial<Pick<Todo, 'title' | 'done'>>

/** What a user entered cannot be stored; the message says why, to the user. */
export class InvalidTodo extends Error {}

const MAX_TITLE_LENGTH = 200

/** Gives a title that can be stored, or throws {@link InvalidTodo}. */
export function parseTitle(value: unknown): string {
  const title = typeof value === 'string' ? value.trim() : ''
  if (title === '') throw new InvalidTodo('Enter a title')
  if (title.length > MAX_TITLE_LENGTH) {
    throw new InvalidTodo(`Enter a title of at most ${MAX_TITLE_LENGTH} characters`)
  }
  // The one character that PostgreSQL cannot store.
  if (title.includes('\0')) throw new InvalidTodo('Enter a title without null characters')
  return title
}

export async function listTodos(db: Database): Promise<Todo[]> {
  const { rows } = await db.sql<Todo>`select id, title, done from todos order by id`
  return rows
}

export async function addTodo(db: Database, title: string): Promise<Todo> {
  const { rows } = await db.sql<Todo>`
    insert into todos (title) values (${title}) returning id, title, done
  `
  const [todo] = rows
  if (!todo) throw new Error('The database did not return the todo it added')
  return todo
}

// Ids come from paths and are compared as text: a number of any size is then simply not found.

/** Changes what is given; resolves to nothing if there is no such todo. */
export async function changeTodo(
  db: Database,
  id: string,
  { title, done }: TodoChange,
): Promise<Todo | undefined> {
  const { rows } = await db.sql<Todo>`
    update todos
    set title = coalesce(${title ?? null}, title), done = coalesce(${done ?? null}, done)
    where id::text = ${id}
    returning id, title, done
  `
  return rows[0]
}

/** Resolves to whether there was such a todo. */
export async function removeTodo(db: Database, id: string): Promise<boolean> {
  const { affectedRows } = await db.sql`delete from todos where id::text = ${id}`
  return affectedRows === 1
}
