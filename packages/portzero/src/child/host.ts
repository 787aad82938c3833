// Runs an app for the process that owns it: the program of its child processes and worker threads.
import { parentPort, workerData } from 'node:worker_threads'
import type { Channel, Order, Report, StartOrder } from '../messages/channel.ts'
import { Governor } from './governed.ts'
import { reportLoadsTo } from '../loading/load-reports.ts'
import { ownMessages } from './own-messages.ts'
import { InlineLife } from '../runtimes/inline.ts'
import { written } from '../written.ts'

const governor = new Governor(channelToOwner(), {
  start: async ({ location, settings, fd }) => {
    const target = { kind: 'module', location, isAlone: true } as const
    const address = fd === undefined ? { port: settings.port } : { fd }
    const life = await InlineLife.begin(target, { ...settings, ready: undefined }, address, () =>
      governor.changed(),
    )
    const { url, http2, ca, port } = life
    governor.started(life, { url, http2, ca, port })
  },
  exit: () => void written().then(() => process.exit(0)),
})
// A thread is given its order as it is made: a message would not be read before the next turn.
if (parentPort !== null) governor.start(workerData as StartOrder)

function channelToOwner(): Channel<Report, Order> {
  if (parentPort !== null) {
    const port = parentPort
    reportLoadsTo(port)
    return ownMessages({
      send: (report) => port.postMessage(report),
      listen: (receive) => port.on('message', receive),
    })
  }
  // An owner that is gone needs no server.
  process.on('disconnect', () => process.exit())
  return ownMessages({
    send: (report) => process.send?.(report, undefined, undefined, () => {}),
    listen: (receive) => process.on('message', receive),
  })
}
