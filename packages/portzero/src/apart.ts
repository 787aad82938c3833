/**
 * For authors of runner integrations: servers that are started by a process of their own, and told over a line.
 * @module
 */
import { never } from './deadline.ts'
import type { PortzeroError } from './errors.ts'
import { Live } from './live-server.ts'
import type { LiveServer } from './types.ts'

export type { Channel } from './messages/channel.ts'
export { settlesWithin } from './deadline.ts'
export { describe, listOf } from './describe.ts'
export { channelOver } from './messages/lines-channel.ts'
export { DEFAULTS, identifier } from './options.ts'
export type { Observer, Rule } from './options.ts'
export { fromPortable, toPortable } from './portable.ts'
export type { PortableOptions, PortableServer, PortableTarget } from './portable.ts'
export { serveObserved } from './serve.ts'
export { forcedClose, tellingClose } from './slow-close.ts'
export { turns } from './turns.ts'

/** Resolves to the error of a server when it ends without being told to. */
export async function deathOf(server: LiveServer): Promise<PortzeroError> {
  await server.exited
  const error = server instanceof Live ? server.died : undefined
  return error ?? never()
}
