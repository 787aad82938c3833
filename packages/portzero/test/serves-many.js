// @ts-check
// One of many processes that start servers, which say whose they are. Told how many, it starts them at once, asks each, answers
// with the ports of those that were not its own, and closes them.
import { serve } from 'portzero'

process.on('message', (/** @type {number} */ count) => {
  void round(count).then((strangers) => process.send?.(strangers))
})
// Ready to be told.
process.send?.([])

/** @param {number} count */
async function round(count) {
  const servers = await Promise.all(Array.from({ length: count }, (_, index) => start(index)))
  const strangers = []
  for (const { server, name } of servers) {
    const answer = await fetch(server.url)
    if ((await answer.text()) !== name) strangers.push(server.port)
  }
  await Promise.all(servers.map(({ server }) => server.close()))
  return strangers
}

/** @param {number} index */
async function start(index) {
  const name = `${process.pid}/${index}`
  const server = await serve({ fetch: () => new Response(name) })
  return { server, name }
}
