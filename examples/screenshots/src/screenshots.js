// @ts-check
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import { launchOptions } from '../../../scripts/browser.js'

const PAGES = { home: '/', menu: '/menu', visit: '/visit' }
const VIEWPORT = { width: 1280, height: 720 }

/**
 * Visits the pages of a site, and writes a PNG of each to a folder, and one of all of them: `contact-sheet.png`.
 * @param {string} baseURL
 * @param {string} folder
 */
export async function takeScreenshots(baseURL, folder) {
  await mkdir(folder, { recursive: true })
  // Uses the Chromium of the system where there is one. Without the options, Playwright uses its own.
  const browser = await chromium.launch(launchOptions())
  try {
    const page = await browser.newPage({ baseURL, viewport: VIEWPORT })
    const figures = []
    for (const [name, path] of Object.entries(PAGES)) {
      const response = await page.goto(path)
      if (!response?.ok()) throw new Error(`${path} answered ${response?.status()}.`)
      const png = await page.screenshot({ path: join(folder, `${name}.png`) })
      figures.push(figureOf(path, png))
      console.log(`${path} → ${name}.png`)
    }
    await page.setContent(sheetOf(figures))
    await writeFile(join(folder, 'contact-sheet.png'), await page.screenshot({ fullPage: true }))
    console.log('all of them → contact-sheet.png')
  } finally {
    await browser.close()
  }
}

/**
 * @param {string} path
 * @param {Buffer} png
 */
function figureOf(path, png) {
  const source = `data:image/png;base64,${png.toString('base64')}`
  return `<figure><img src="${source}"><figcaption>${path}</figcaption></figure>`
}

/** @param {readonly string[]} figures */
function sheetOf(figures) {
  return `<!doctype html>
<style>
  body { margin: 20px; display: grid; grid-template-columns: 1fr 1fr; gap: 20px; background: #ddd; font: 20px sans-serif; }
  figure { margin: 0; background: white; padding: 12px; } img { width: 100%; }
</style>${figures.join('')}`
}
