import type { Duplex } from 'node:stream'
import { urlOf } from '../life.ts'
import type { Order } from '../messages/channel.ts'
import { channelOver } from '../messages/lines-channel.ts'
import { placeOf } from '../options.ts'
import type { Settings } from '../options.ts'
import { asgiChannel, asgiProcess } from '../processes/asgi.ts'
import type { AsgiReport } from '../processes/asgi.ts'
import { FIRST } from '../processes/handed-over.ts'
import { OwnedProcess } from '../processes/owned-process.ts'
import { bindFor } from '../start.ts'
import type { Start } from '../start.ts'
import type { AsgiTarget } from '../types.ts'
import { RemoteLife, ownedHost } from './remote.ts'

/** Starts uvicorn with an ASGI app, in a process that inherits the socket. */
export async function beginAsgi(
  target: AsgiTarget,
  settings: Settings,
  fixed: number,
  start: Start = {},
): Promise<RemoteLife> {
  const { host } = settings
  const env = { ...placeOf(settings), ...settings.env, ...target.env }
  const program = await asgiProcess({ ...target, env })
  const socket = await bindFor(start, { host, port: fixed })
  const { port } = socket
  // Before another turn of the event loop, in which this process would accept connections.
  const spawning = OwnedProcess.spawn({ ...program, descriptors: [socket.fd, 'pipe'] })
  socket.close()
  const owned = await spawning
  const line = channelOver<Order, AsgiReport>(owned.child.stdio[FIRST.channel] as Duplex)
  const life = {
    ...ownedHost(owned),
    channel: asgiChannel(line, { port, url: urlOf(false, host, port) }),
    canPause: false,
  }
  return RemoteLife.begin(life, { ...settings, port }, start)
}
