// Runs an app for the process that owns it: the program of its child processes and worker threads.
import { Writable } from 'node:stream'
import { parentPort, workerData } from 'node:worker_threads'
import type { Channel, Order, Report, StartOrder } from '../messages/channel.ts'
import { Governor } from './governed.ts'
import { reportLoadsTo } from '../loading/load-reports.ts'
import { ownMessages } from './own-messages.ts'
import { InlineLife } from '../runtimes/inline.ts'

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

/** Resolves when all is written that was printed: what finds no room in the pipe waits here, and would end with this process. */
async function written(): Promise<void> {
  const streams = [process.stdout, process.stderr].filter((stream) => stream.writableLength > 0)
  // Not by their own `write()`, which the app may have replaced.
  const { write } = Writable.prototype
  await Promise.all(
    streams.map((stream) => new Promise((resolve) => write.call(stream, '', 'utf8', resolve))),
  )
}

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
