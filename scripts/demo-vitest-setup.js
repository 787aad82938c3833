// @ts-check
// Loaded in each Vitest worker by demo-vitest.js, to which it tells the worker's name.
import { beforeEach } from 'vitest'

beforeEach(({ task }) => {
  Object.assign(task.meta, { worker: process.env['VITEST_WORKER_ID'] })
})
