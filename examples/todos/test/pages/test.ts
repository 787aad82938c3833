import { test as base } from '@playwright/test'
import { liveServer } from '@portzero/playwright'
import { createApp } from '../../src/app.ts'
import { openDatabase } from '../../src/db.ts'
import type { Todo } from '../../src/todos.ts'
import { readTemplate } from '../template.ts'

/** Every worker gets a server and a database of its own, and every test an empty list. */
export const test = base
  .extend(
    liveServer(async ({ onClose }) => {
      const db = await openDatabase(await readTemplate())
      onClose(() => db.close())
      return createApp(db)
    }),
  )
  .extend<{ emptyList: void }>({
    emptyList: [
      async ({ request }, use) => {
        const todos = (await (await request.get('/api/todos')).json()) as Todo[]
        for (const { id } of todos) await request.delete(`/api/todos/${id}`)
        await use()
      },
      { auto: true },
    ],
  })
