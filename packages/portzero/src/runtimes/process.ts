import { ownMessages } from '../child/own-messages.ts'
import { HOST } from '../files.ts'
import { REPORTING, withoutLoads } from '../loading/load-reports.ts'
import type { OnLoad } from '../loading/load-reports.ts'
import { urlOf } from '../loading/module.ts'
import { withLoader } from '../loading/typescript-loader.ts'
import type { Loader } from '../loading/typescript-loader.ts'
import type { Channel, Order, Report } from '../messages/channel.ts'
import type { Settings } from '../options.ts'
import { FIRST } from '../processes/handed-over.ts'
import { OwnedProcess } from '../processes/owned-process.ts'
import { bindFor } from '../start.ts'
import type { Start } from '../start.ts'
import { RemoteLife, ownedHost } from './remote.ts'

/** Starts a module in a child process, which inherits the socket. */
export function beginInProcess(
  location: URL | string,
  settings: Settings,
  port: number,
  start: Start = {},
): Promise<RemoteLife> {
  const url = urlOf(location)
  return withLoader(url, (loader) => begin(url, loader, settings, port, start))
}

async function begin(
  url: URL,
  loader: Loader,
  { ready, observer, ...settings }: Settings,
  port: number,
  start: Start,
): Promise<RemoteLife> {
  const args = [...loader.args, HOST]
  const reporting = observer?.loaded === undefined ? {} : REPORTING
  const env = { ...loader.env, ...process.env, ...settings.env, ...reporting }
  const socket = await bindFor(start, { host: settings.host, port })
  // Before another turn of the event loop, in which this process would accept connections.
  const spawned = OwnedProcess.spawn({
    file: process.execPath,
    args,
    cwd: start.cwd,
    env,
    descriptors: [socket.fd, 'ipc'],
    serialization: 'advanced',
  })
  socket.close()
  const owned = await spawned
  const channel = channelTo(owned, observer?.loaded)
  channel.send({
    type: 'start',
    location: url.href,
    settings: { ...settings, port: socket.port },
    fd: FIRST.socket,
  })
  return RemoteLife.begin({ ...ownedHost(owned), channel }, { ...settings, ready, observer }, start)
}

function channelTo({ child }: OwnedProcess, onLoad: OnLoad | undefined): Channel<Order, Report> {
  return ownMessages(
    withoutLoads(onLoad, {
      send: (order) => {
        if (child.connected) child.send(order, undefined, undefined, () => {})
      },
      listen: (receive) => child.on('message', receive),
    }),
  )
}
