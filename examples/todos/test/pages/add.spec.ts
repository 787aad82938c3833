import { expect } from '@playwright/test'
import { add } from './actions.ts'
import { test } from './test.ts'

test('starts with nothing to do', async ({ page }) => {
  await page.goto('/')

  await expect(page).toHaveTitle('Todos')
  await expect(page.getByRole('status')).toHaveText('Nothing to do')
  await expect(page.getByRole('listitem')).toHaveCount(0)
})

test('adds todos in order', async ({ page }) => {
  await page.goto('/')
  await add(page, 'Buy milk')
  await add(page, 'Bake bread')

  await expect(page.getByRole('listitem')).toContainText(['Buy milk', 'Bake bread'])
  await expect(page.getByRole('status')).toHaveText('2 of 2 left')
  await expect(page.getByLabel('What needs to be done?')).toBeFocused()
})

test('does not add a todo twice when the page is reloaded', async ({ page }) => {
  await page.goto('/')
  await add(page, 'Only once')
  await page.reload()

  await expect(page.getByRole('listitem')).toContainText(['Only once'])
})

test('says that a title is missing', async ({ page }) => {
  await page.goto('/')
  await add(page, '  ')

  await expect(page.getByRole('alert')).toHaveText('Enter a title')
  await expect(page.getByLabel('What needs to be done?')).toHaveAccessibleDescription(
    'Enter a title',
  )
  await expect(page.getByRole('listitem')).toHaveCount(0)
})

test('leaves a title to correct that is too long', async ({ page }) => {
  const long = 'x'.repeat(201)

  await page.goto('/')
  await add(page, long)

  await expect(page.getByRole('alert')).toHaveText('Enter a title of at most 200 characters')
  await expect(page.getByLabel('What needs to be done?')).toHaveValue(long)
})

test('shows markup in a title as text', async ({ page }) => {
  await page.goto('/')
  await add(page, '<b>Bold</b> & "brave"')

  await expect(page.getByRole('listitem')).toContainText(['<b>Bold</b> & "brave"'])
})
