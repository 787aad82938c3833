import { serve } from 'portzero'
import { expect, onTestFinished, test, vi } from 'vitest'
import { gate } from './support.ts'

test('a start that takes long says what it waits for, and stops when it is over', async () => {
  const lines: string[] = []
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines.push(String(text))
    return true
  })
  onTestFinished(() => write.mockRestore())
  const built = gate()
  const starting = serve(async () => {
    await built.opened
    return { fetch: () => new Response('ok') }
  })
  await vi.waitFor(() => expect(lines).toHaveLength(1), { timeout: 4_500 })
  expect(lines[0]).toMatch(
    /^portzero: starting for \d+ s, waits for the target, which is still loading\n$/,
  )
  built.open()
  const server = await starting
  await server.close()
  expect(lines).toHaveLength(1)
})
