import { serve } from '@hono/node-server'
import { createApp } from './app.ts'
import { openDatabase } from './db.ts'

const db = await openDatabase()
const app = createApp(db)

const server = serve({ fetch: app.fetch, port: Number(process.env['PORT'] ?? 3000) }, (address) => {
  console.log(`Todos: http://localhost:${address.port}`)
})
server.on('close', () => void db.close())
