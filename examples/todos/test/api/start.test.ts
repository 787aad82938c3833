import { liveServer } from '@portzero/vitest'
import { expect, test as base } from 'vitest'
import { add, list } from './requests.ts'

// The app's own start script, as `npm start` runs it: it listens on port 3000, as far as it knows.
// It sets up a database from nothing, which takes seconds, and more on a busy machine.
const test = base.extend(liveServer(() => import('../../src/start.ts'), { startTimeout: 60_000 }))

test('the start script listens on a port of its own', async ({ server, baseURL }) => {
  const response = await fetch(baseURL)

  expect(server.port).not.toBe(3000)
  expect(response.status).toBe(200)
  expect(await response.text()).toContain('Nothing to do')
})

test('the start script has a database of its own', async ({ server }) => {
  const todo = await add(server, 'Kept for this worker only')

  expect(await list(server)).toEqual([todo])
})
