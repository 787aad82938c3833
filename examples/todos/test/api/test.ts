import { liveServer } from '@portzero/vitest'
import { test as base } from 'vitest'
import { createApp } from '../../src/app.ts'
import { openDatabase } from '../../src/db.ts'
import { readTemplate } from '../template.ts'

/** Every worker gets a server and a database of its own; both are closed after its last test. */
export const test = base.extend(
  liveServer(async ({ onClose }) => {
    const db = await openDatabase(await readTemplate())
    onClose(() => db.close())
    return createApp(db)
  }),
)
