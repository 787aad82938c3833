// @ts-check
// Takes the pictures of the site at BASE_URL: `portzero run ./src/site.js -- node src/shoot.js [folder]`.
import { takeScreenshots } from './screenshots.js'

const { BASE_URL } = process.env
if (BASE_URL === undefined) throw new Error('Set BASE_URL, or start this by portzero run.')
await takeScreenshots(BASE_URL, process.argv[2] ?? 'screenshots')
