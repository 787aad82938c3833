// @ts-check
// The same server, started as SIDE says.
import { defineConfig } from '@playwright/test'
import { webServer } from '@portzero/playwright'

const command = 'node server.js'
const sides = {
  url: () => ({ command, url: `http://127.0.0.1:${process.env['PORT']}` }),
  wait: () => ({ command, wait: { stdout: /listening/ } }),
  portzero: () => webServer({ command }),
}

export default defineConfig({
  workers: 1,
  reporter: 'null',
  outputDir: String(process.env['RESULTS']),
  webServer: sides[/** @type {keyof typeof sides} */ (process.env['SIDE'])](),
})
