// 40 tests, of which 10 fail, on a server that is had in one of several ways.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test as base } from '@playwright/test'
import { liveServer } from '@portzero/playwright'
import type { Scope } from '@portzero/playwright'

const SERVER = fileURLToPath(new URL('server.js', import.meta.url))
const side = process.env['SIDE']

/** As one would write it by hand. */
const plain = base.extend<object, { own: string }>({
  own: [
    async ({}, use) => {
      const child = spawn(process.execPath, [SERVER], { stdio: ['ignore', 'pipe', 'inherit'] })
      const [url] = (await once(child.stdout, 'data')) as [Buffer]
      await use(String(url).trim())
      child.kill()
      await once(child, 'exit')
    },
    { scope: 'worker' },
  ],
  baseURL: async ({ own }, use) => use(own),
})

function testOf(): typeof base {
  if (side === 'webServer') return base
  if (side === 'plain') return plain
  return base.extend(liveServer({ command: ['node', SERVER] }, { scope: side as Scope }))
}

const test = testOf()

for (let number = 1; number <= 40; number += 1) {
  test(`test ${number}`, async ({ request }) => {
    expect((await request.get('/')).status()).toBe(number % 4 === 0 ? 404 : 200)
  })
}
