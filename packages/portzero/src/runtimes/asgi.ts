import type { Readable } from 'node:stream'
import { asgiProcess, explainAsgi, reportsFrom } from '../asgi.ts'
import type { AsgiBlocker } from '../asgi.ts'
import { FIRST } from '../handed-over.ts'
import { placeOf } from '../options.ts'
import type { Settings } from '../options.ts'
import { OwnedProcess } from '../owned-process.ts'
import { bindFor } from '../start.ts'
import type { Start } from '../start.ts'
import type { AsgiTarget, Blocker } from '../types.ts'
import { RemoteLife, ownedHost } from './remote.ts'

/** What the end of the app, and that of Python, get when the requests have used up the grace, in ms. */
const LIFESPAN = 500

/** Starts uvicorn with an ASGI app, in a process that inherits the socket. */
export async function beginAsgi(
  target: AsgiTarget,
  settings: Settings,
  port: number,
  start: Start = {},
): Promise<RemoteLife> {
  const { host, grace } = settings
  const env = { ...placeOf(settings), ...settings.env, ...target.env }
  const program = await asgiProcess({ ...target, env }, { graceMs: grace })
  const socket = await bindFor(start, { host, port })
  // Before another turn of the event loop, in which this process would accept connections.
  const spawning = OwnedProcess.spawn({ ...program, descriptors: [socket.fd, 'pipe'] })
  socket.close()
  const owned = await spawning
  const reports = follow(owned.child.stdio[FIRST.channel] as Readable)
  const life = {
    ...ownedHost(owned),
    channel: undefined,
    listening: reports.listening,
    finishesRequests: true,
    stop: async (left: number) => {
      const outcome = await owned.stop({
        signal: 'SIGTERM',
        grace: left === 0 ? 0 : left + LIFESPAN,
      })
      return { isKilled: outcome === 'killed', cut: reports.cut.map(asBlocker) }
    },
  }
  return RemoteLife.begin(life, { ...settings, port: socket.port }, start)
}

/** Reads what the process reports, until its end. */
function follow(channel: Readable): { listening: Promise<void>; cut: AsgiBlocker[] } {
  const cut: AsgiBlocker[] = []
  const listening = new Promise<void>((resolve, reject) => {
    void (async () => {
      for await (const report of reportsFrom(channel)) {
        if (report.type === 'listening') resolve()
        else if (report.type === 'failed') reject(explainAsgi(report))
        else if (report.type === 'drained') cut.push(...report.cut)
      }
    })().catch(reject)
  })
  // Whoever waits for it hears of it; nobody does once the server has started.
  listening.catch(() => {})
  return { listening, cut }
}

function asBlocker({ kind, ...request }: AsgiBlocker): Blocker {
  return { kind: kind === 'websocket' ? 'upgrade' : 'request', ...request }
}
