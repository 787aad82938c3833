import { expect, test } from 'vitest'
import { runVitest } from './run.ts'

test('servers speak TLS in one word, and their clients trust them', async () => {
  const run = await runVitest('vitest-https')

  expect(run).toMatchObject({ exitCode: 0, passed: 5, failed: 0 })
  expect(run.servers.map(({ url }) => new URL(url).protocol)).toEqual(
    run.servers.map(() => 'https:'),
  )
})
