import { PassThrough } from 'node:stream'
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import { ownMessages } from '../child/own-messages.ts'
import { settlesWithin } from '../deadline.ts'
import { HOST } from '../files.ts'
import { REPORTING, withoutLoads } from '../loading/load-reports.ts'
import type { OnLoad } from '../loading/load-reports.ts'
import { urlOf } from '../loading/module.ts'
import { withLoader } from '../loading/typescript-loader.ts'
import type { Loader } from '../loading/typescript-loader.ts'
import type { StartOrder } from '../messages/channel.ts'
import type { Settings } from '../options.ts'
import { Output } from '../processes/output.ts'
import type { Start } from '../start.ts'
import type { Exit } from '../types.ts'
import { RemoteLife } from './remote.ts'
import type { Host } from './remote.ts'

/** What is terminated has to be gone after so many ms. */
const TERMINATION = 2_000

/**
 * Starts a module in a worker thread. It binds its port itself: of a socket that two threads hold, each takes some of the connections.
 */
export function beginInThread(
  location: URL | string,
  settings: Settings,
  port: number,
  start: Start = {},
): Promise<RemoteLife> {
  const url = urlOf(location)
  return withLoader(url, (loader) => begin(url, loader, settings, port, start))
}

function begin(
  url: URL,
  loader: Loader,
  { ready, observer, ...settings }: Settings,
  port: number,
  start: Start,
): Promise<RemoteLife> {
  const reporting = observer?.loaded === undefined ? {} : REPORTING
  const order: StartOrder = { type: 'start', location: url.href, settings: { ...settings, port } }
  const worker = new Worker(HOST, {
    name: 'portzero',
    workerData: order,
    env: { ...loader.env, ...process.env, ...settings.env, ...reporting },
    execArgv: [...loader.args],
    stdout: true,
    stderr: true,
  })
  return RemoteLife.begin(hostOf(worker, observer?.loaded), { ...settings, ready, observer }, start)
}

function stuck({ threadId }: Worker): Error {
  return new Error(
    `Cannot end thread ${threadId}: it is in a native call, such as execFileSync(), and ends when that returns. Give such an app a process.`,
  )
}

function hostOf(worker: Worker, onLoad: OnLoad | undefined): Host {
  const output = new Output()
  const uncaught = new PassThrough()
  for (const stream of [worker.stdout, worker.stderr, uncaught]) output.add(stream)
  worker.on('error', (error) => uncaught.write(`${inspect(error)}\n`))
  const exited = new Promise<Exit>((resolve) => {
    worker.once('exit', (code) => {
      void output.end().then(() => resolve({ code, signal: null }))
    })
  })
  return {
    name: `thread ${worker.threadId}`,
    pid: undefined,
    threadId: worker.threadId,
    output,
    exited,
    channel: ownMessages(
      withoutLoads(onLoad, {
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
        send: (order) => worker.postMessage(order),
        listen: (receive) => worker.on('message', receive),
      }),
    ),
    stop: async (grace) => {
      const ended = grace > 0 && (await settlesWithin(exited, grace))
      if (!(await settlesWithin(worker.terminate(), TERMINATION))) throw stuck(worker)
      return { isKilled: !ended }
    },
  }
}
