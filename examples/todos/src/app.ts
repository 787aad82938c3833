import { Hono } from 'hono'
import { createApi } from './api.ts'
import type { Database } from './db.ts'
import { createPages } from './pages.ts'

/** The whole app on a database that stays the caller's to close. */
export function createApp(db: Database): Hono {
  const app = new Hono()
  app.route('/api', createApi(db))
  app.route('/', createPages(db))
  return app
}
