// @ts-check
// The same without the command: starts the site in this process, takes the pictures, and stops it.
import { serve } from 'portzero'
import { takeScreenshots } from './screenshots.js'

const server = await serve(new URL('site.js', import.meta.url))
try {
  await takeScreenshots(server.url, process.argv[2] ?? 'screenshots')
} finally {
  await server.close()
}
