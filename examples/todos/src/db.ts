import { PGlite } from '@electric-sql/pglite'

/** An embedded PostgreSQL in memory. Whoever opens it closes it. */
export type Database = PGlite

/** Opens a new database with the schema in place: a copy of `template`, if there is one, or an empty one. */
export async function openDatabase(template?: Blob): Promise<Database> {
  if (template) return PGlite.create({ loadDataDir: template })
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
