// @ts-check
import { writeFileSync } from 'node:fs'
import { test } from '@playwright/test'

test('has begun', () => {
  writeFileSync(String(process.env['BODY']), String(Date.now()))
})
