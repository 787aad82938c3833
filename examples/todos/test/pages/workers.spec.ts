import { expect } from '@playwright/test'
import { add } from './actions.ts'
import { test } from './test.ts'

// These run at the same time, half of them in each worker: on one shared database they would disturb each other.
for (const name of ['Ada', 'Grace', 'Hedy', 'Radia']) {
  test(`${name} sees only what ${name} added`, async ({ page }) => {
    await page.goto('/')

    for (const count of [1, 2, 3]) {
      await add(page, `${name} ${count}`)
      await expect(page.getByRole('listitem')).toHaveCount(count)
    }

    await expect(page.getByRole('listitem')).toContainText([`${name} 1`, `${name} 2`, `${name} 3`])
  })
}
