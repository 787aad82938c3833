import { PGlite } from '@electric-sql/pglite'

/** An embedded PostgreSQL in memory. Whoever opens it closes it. */
export type Database = PGlite

/** Opens a new, empty database with the schema in place. */
export async function openDatabase(): Promise<Database> {
  const db = await PGlite.create()
  await db.exec(`
    create table todos (
      id integer generated always as identity primary key,
      title text not null check (title <> ''),
      done boolean not null default false
    )
  `)
  return db
}
