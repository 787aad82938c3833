// @ts-check
import { Child } from '../lib/child.js'
import { compare } from '../lib/statistics.js'
import { load } from './load.js'

/** @typedef {{ rate: number, cpu: number }} Sample answers a second; CPU time of the server's process for each, in µs */

const SERVER = new URL('server.js', import.meta.url)
const CONNECTIONS = 16

const µs = (/** @type {number} */ value) => `${value.toFixed(1)} µs`
const perSecond = (/** @type {number} */ value) => `${value.toFixed(0)} /s`

/**
 * Serves an app in another process, as each of the sides does. Whoever opens it ends the child.
 * @param {import('./sides.js').App} app
 * @param {readonly import('../lib/pairs.js').Side[]} sides
 */
export async function open(app, sides) {
  /** @type {Child<any>} */
  const child = new Child(SERVER, [app, ...sides])
  return { child, ports: /** @type {number[]} */ (await child.ask()) }
}

/**
 * Warms a server up, and resolves to what measures it. The process answers each question with the CPU time that it has used, in µs.
 * @param {Pick<import('../lib/child.js').Child<number>, 'ask'>} child
 * @param {number} port
 * @param {number} burst seconds of each measurement
 * @returns {Promise<() => Promise<Sample>>}
 */
export async function underLoad(child, port, burst) {
  await load(port, { connections: CONNECTIONS, seconds: 0.7 })
  return async () => {
    const before = await child.ask(0)
    const { count, seconds } = await load(port, { connections: CONNECTIONS, seconds: burst })
    return { rate: count / seconds, cpu: ((await child.ask(0)) - before) / count }
  }
}

/**
 * Two rows of the table. That of the CPU time is disturbed less by other work of the machine.
 * @param {{ name: string, target?: import('../lib/table.js').Row['target'] }} subject
 * @param {import('../lib/pairs.js').Pairs<Sample>} pairs
 * @returns {import('../lib/table.js').Row[]}
 */
export function rowsOf({ name, target }, { bare, portzero }) {
  const measured = (/** @type {keyof Sample} */ figure) =>
    compare(
      bare.map((sample) => sample[figure]),
      portzero.map((sample) => sample[figure]),
    )
  return [
    {
      name: `${name}, answers`,
      measured: measured('rate'),
      show: perSecond,
      ...(target && { target }),
    },
    { name: `${name}, CPU an answer`, measured: measured('cpu'), show: µs },
  ]
}
