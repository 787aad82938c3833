// Holds one server for others, in the background: the program of each that start() starts.
import { clearInterval, setInterval } from 'node:timers'
import { ownAll } from '../processes/watchdog.ts'
import { HeldServer } from './held-server.ts'
import type { HeldSpec } from './held-spec.ts'
import { seemsAlive } from './process-identity.ts'
import type { HeldRecord, HeldScope } from './registry.ts'
import { toWire } from '../messages/wire-error.ts'
import type { WireError } from '../messages/channel.ts'

/** What a holder tells the process that has started it. All else is told over its socket. */
export type HolderReport =
  | { readonly type: 'held'; readonly record: HeldRecord }
  | { readonly type: 'failed'; readonly error: WireError }

/** How often an owner is looked for, in ms. */
const LOOK = 50

process.once('message', (spec: HeldSpec) => void hold(spec))

// Nobody has said what to hold.
process.once('disconnect', exitAtOnce)

async function hold(spec: HeldSpec): Promise<void> {
  try {
    ownAll()
    const server = new HeldServer(spec)
    const record = await server.claim()
    endWith(server, spec.scope)
    await report({ type: 'held', record })
    void server.start()
    await server.over
  } catch (error) {
    await report({ type: 'failed', error: toWire(error) })
  }
  process.exit()
}

function endWith(server: HeldServer, scope: HeldScope | undefined): void {
  const stop = (): void => void server.stop().catch(() => {})
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop)
  process.off('disconnect', exitAtOnce)
  if (scope === undefined) {
    // Whoever has ordered it, and is gone, does not want it any more.
    process.once('disconnect', () => {
      if (!server.isReady) stop()
    })
    if (!process.connected) stop()
    return
  }
  const looking = setInterval(() => {
    if (seemsAlive(scope.owner)) return
    clearInterval(looking)
    stop()
  }, LOOK)
}

function exitAtOnce(): void {
  process.exit()
}

async function report(message: HolderReport): Promise<void> {
  if (!process.connected) return
  await new Promise<void>((resolve) => {
    process.send?.(message, undefined, undefined, () => resolve())
  })
}
