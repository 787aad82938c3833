import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

// In a process of its own: what a test runner holds open would hide what we do.
const program = new URL('./thousand-cycles.js', import.meta.url).pathname

interface Held {
  descriptors: number
  resources: string[]
  listeners: number
  servers: number
  sockets: number
  heap: number
}

test.each(['listener', 'hono', 'factory', 'fastify'])(
  '1,000 cycles of serve(), one request and close() of a %s leave nothing behind',
  async (target) => {
    const run = promisify(execFile)
    const { stdout } = await run(process.execPath, ['--expose-gc', program, target])
    const { before, after, warnings } = JSON.parse(stdout) as Record<'before' | 'after', Held> & {
      warnings: string[]
    }
    const { heap: heapBefore, ...heldBefore } = before
    const { heap: heapAfter, ...heldAfter } = after
    expect(heldAfter).toEqual(heldBefore)
    expect(warnings).toEqual([])
    // In bytes a cycle: of code that is compiled meanwhile, there is always some.
    expect((heapAfter - heapBefore) / 1_000).toBeLessThan(2_000)
  },
  120_000,
)
