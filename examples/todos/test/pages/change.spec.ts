import { expect } from '@playwright/test'
import { add } from './actions.ts'
import { test } from './test.ts'

test.beforeEach(async ({ page }) => {
  await page.goto('/')
  await add(page, 'Buy milk')
  await add(page, 'Bake bread')
})

test('toggles a todo', async ({ page }) => {
  const milk = page.getByRole('checkbox', { name: 'Buy milk' })
  await expect(milk).not.toBeChecked()

  await milk.click()
  await expect(milk).toBeChecked()
  await expect(page.getByRole('status')).toHaveText('1 of 2 left')

  await milk.click()
  await expect(milk).not.toBeChecked()
  await expect(page.getByRole('status')).toHaveText('2 of 2 left')
})

test('deletes a todo', async ({ page }) => {
  await page.getByRole('button', { name: 'Delete Buy milk' }).click()

  await expect(page.getByRole('listitem')).toHaveCount(1)
  await expect(page.getByRole('listitem')).toContainText(['Bake bread'])
})

test('says so when a todo is deleted that is gone already', async ({ page, context }) => {
  const other = await context.newPage()
  await other.goto('/')
  await other.getByRole('button', { name: 'Delete Buy milk' }).click()
  await expect(other.getByRole('listitem')).toHaveCount(1)

  await page.getByRole('button', { name: 'Delete Buy milk' }).click()
  await expect(page.getByRole('heading')).toHaveText('Nothing here')

  await page.getByRole('link', { name: 'Back to the list' }).click()
  await expect(page.getByRole('listitem')).toContainText(['Bake bread'])
})
