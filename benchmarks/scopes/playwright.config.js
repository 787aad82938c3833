// @ts-check
import { fileURLToPath } from 'node:url'
import { defineConfig } from '@playwright/test'

const { SIDE, PORT } = process.env
const url = `http://127.0.0.1:${PORT}`

export default defineConfig({
  testMatch: 'suite.ts',
  fullyParallel: true,
  workers: 2,
  reporter: 'null',
  outputDir: String(process.env['RESULTS']),
  ...(SIDE === 'webServer' && {
    webServer: { command: `node ${fileURLToPath(new URL('server.js', import.meta.url))}`, url },
    use: { baseURL: url },
  }),
})
