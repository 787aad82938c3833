import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'
import { asgiProcess } from '../dist/processes/asgi.js'
import type { AsgiReport, AsgiTarget } from '../dist/processes/asgi.js'
import type { Order } from '../dist/messages/channel.js'

/** An ASGI app in a process of its own, started by hand. */
export interface Started {
  readonly url: string
  readonly port: number
  readonly child: ChildProcess
  /** The next report, but those of what is in flight; nothing once the process has closed its channel. */
  report(): Promise<AsgiReport | undefined>
  order(order: Order): void
  /** Orders it to end. */
  end(grace?: number): void
  /** Resolves to `[code, signal]` once it has ended. */
  readonly exited: Promise<unknown[]>
  /** All that it has printed, once it has ended. */
  readonly printed: Promise<string>
}

/** Hands a socket over to a new process for the target. It is killed when the test ends. */
export async function start(target: AsgiTarget): Promise<Started> {
  const { file, args, cwd, env } = await asgiProcess(target)
  const listener = net.createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const { fd } = (listener as unknown as { _handle: { fd: number } })._handle
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', fd, 'pipe'] })
  // A copy that is kept would take connections, too.
  listener.close()
  onTestFinished(() => void child.kill('SIGKILL'))
  const [, stdout, stderr, , channel] = child.stdio as unknown as Duplex[]
  const reports = reportsFrom(channel!)
  const order = (given: Order): void => void channel!.write(`${JSON.stringify(given)}\n`)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    child,
    report: async () => (await reports.next()).value ?? undefined,
    order,
    end: (grace = 1_000) => order({ type: 'end', id: 1, grace, since: Date.now(), ports: [] }),
    exited: once(child, 'exit'),
    printed: Promise.all([text(stdout!), text(stderr!)]).then((parts) => parts.join('')),
  }
}

async function* reportsFrom(channel: Duplex): AsyncGenerator<AsgiReport, void> {
  for await (const line of createInterface({ input: channel })) {
    const report = JSON.parse(line) as AsgiReport
    if (report.type !== 'inFlight') yield report
  }
}
