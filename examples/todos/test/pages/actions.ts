import type { Page } from '@playwright/test'

/** Adds a todo as a user does. */
export async function add(page: Page, title: string): Promise<void> {
  await page.getByLabel('What needs to be done?').fill(title)
  await page.getByRole('button', { name: 'Add' }).click()
}
