// @ts-check
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A port for those that have to be told one: picked, and bound later by somebody else, as portzero never does. */
export async function freePort() {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (holder.address())
  holder.close()
  await once(holder, 'close')
  return port
}
