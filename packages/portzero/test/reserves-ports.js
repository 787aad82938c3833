// @ts-check
// One of many processes that want ports. Told `{ reserve: n }`, it reserves n ports at once and answers with them; told
// `{ bind: true }`, it listens on each and answers with those that it could not have; told `{ release: true }`, it gives
// back every second one. With a number as its argument it begins to look there, between 0 and 1, and not at random.
import { once } from 'node:events'
import net from 'node:net'
import { reservePort } from '../dist/processes/port-reservation.js'

/** @typedef {{ reserve?: number, bind?: true, release?: true }} Order */

const from = process.argv[2]
if (from !== undefined) Math.random = () => Number(from)

/** @typedef {import('../dist/processes/port-reservation.js').Reservation} Reservation */

/** @type {Reservation[]} */
let reserved = []
/** @type {{ server: net.Server, reservation: Reservation }[]} */
const bound = []

process.on('message', (/** @type {Order} */ order) => {
  void follow(order).then((answer) => process.send?.(answer))
})

/** @param {Order} order */
async function follow({ reserve = 0, bind, release }) {
  if (reserve > 0) {
    reserved = await Promise.all(Array.from({ length: reserve }, () => reservePort('127.0.0.1')))
    return reserved.map(({ port }) => port)
  }
  if (bind) return (await Promise.all(reserved.map(listen))).flat()
  if (release) await Promise.all(bound.filter((_, i) => i % 2 === 0).map(giveBack))
  return []
}

/** @param {Reservation} reservation */
async function listen(reservation) {
  const server = net.createServer().listen(reservation.port, '127.0.0.1')
  try {
    await once(server, 'listening')
    bound.push({ server, reservation })
    return []
  } catch {
    return [reservation.port]
  }
}

/** @param {typeof bound[number]} held */
async function giveBack(held) {
  bound.splice(bound.indexOf(held), 1)
  await new Promise((resolve) => held.server.close(resolve))
  held.reservation.release()
}
