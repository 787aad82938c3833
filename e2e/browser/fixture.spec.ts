import { test as base, expect } from '@playwright/test'
import { liveServer } from '@portzero/playwright'

const test = base.extend(
  liveServer(({ url }) => ({
    fetch: (request) =>
      new Response(`<title>${url}</title><a href="/there">${new URL(request.url).pathname}</a>`, {
        headers: { 'content-type': 'text/html' },
      }),
  })),
)

test('a page takes a path, and its links lead on', async ({ page, server }) => {
  await page.goto('/here')
  await expect(page.getByRole('link')).toHaveText('/here')

  await page.getByRole('link').click()

  await expect(page).toHaveURL(`${server.url}/there`)
  await expect(page.getByRole('link')).toHaveText('/there')
})

test('a context of the browser takes a path', async ({ browser, server }) => {
  const context = await browser.newContext()
  const page = await context.newPage()

  await page.goto('/')

  await expect(page).toHaveTitle(server.url)
})
