// @ts-check
// A small site, which knows no port of its own.
import { createServer } from 'node:http'

/** @type {Record<string, { title: string, colour: string, body: string }>} */
const pages = {
  '/': {
    title: 'The tea house',
    colour: '#35605a',
    body: '<p>Forty teas, one stove, and a window on the canal.</p>',
  },
  '/menu': {
    title: 'Menu',
    colour: '#8a4f7d',
    body: '<ul><li>Assam, 3.20</li><li>Sencha, 3.80</li><li>Rooibos, 2.90</li></ul>',
  },
  '/visit': {
    title: 'Visit',
    colour: '#bc6c25',
    body: '<p>Open from nine to six, but for Mondays.</p>',
  },
}

export default createServer((request, response) => {
  const page = pages[request.url ?? '/']
  if (page === undefined) {
    response.writeHead(404).end('There is no such page.')
    return
  }
  const links = Object.entries(pages).map(([path, { title }]) => `<a href="${path}">${title}</a>`)
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(`<!doctype html><title>${page.title}</title>
<style>
  body { margin: 0; font: 24px sans-serif; }
  header { background: ${page.colour}; color: white; padding: 60px; }
  nav, main { padding: 30px 60px; } nav a { margin-right: 30px; color: ${page.colour}; }
</style>
<header><h1>${page.title}</h1></header><nav>${links.join('')}</nav><main>${page.body}</main>`)
})
