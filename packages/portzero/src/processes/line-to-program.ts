import { performance } from 'node:perf_hooks'
import { isUnclaimed, unclaimed } from '../child/claim.ts'
import { settlesWithin } from '../deadline.ts'
import { asBlocker, reportOf } from '../life.ts'
import { inFlightAfter } from '../messages/channel.ts'
import type { Channel, Order, Report } from '../messages/channel.ts'
import type { InFlight } from '../types.ts'

/** How long a command may take to end after the program that it has started, in ms: npm and shells have something to do then. */
const NEWS = 200

/** An order that is answered. */
type Asked = Extract<Order, { id: number }>

/**
 * The line to the program of a command that governs its server. What has started that may hold the other end too, and outlive it: then
 * nothing is in flight any more, and what is asked is answered here. Where the command ends with its program, its end is the answer.
 */
export function lineToProgram(
  line: Channel<Order, Report>,
  inode: number,
  exited: Promise<unknown>,
): Channel<Order, Report> {
  let receive: (report: Report) => void = () => {}
  let inFlight: readonly InFlight[] = []
  /** What the program has not answered yet. */
  let asked: Asked[] = []
  /** When it was found to be gone. */
  let goneAt: number | undefined

  /** `lost` is what was in flight when the program went. */
  async function answer(orders: readonly Asked[], lost: readonly InFlight[] = []): Promise<void> {
    const now = performance.now()
    goneAt ??= now
    if (await settlesWithin(exited, Math.max(0, goneAt + NEWS - now))) return
    for (const { type, id } of orders) {
      const result = type === 'end' ? reportOf(lost.map(asBlocker), now) : undefined
      receive({ type: 'done', id, result })
    }
    // Another program may have followed it.
    if (isUnclaimed(inode)) take({ type: 'inFlight', inFlight: [] })
  }

  function take(report: Report): void {
    if (report.type === 'inFlight') inFlight = inFlightAfter(inFlight, report, report.inFlight)
    if ('id' in report) asked = asked.filter(({ id }) => id !== report.id)
    if (report.type === 'started') {
      goneAt = undefined
      void unclaimed(inode).then(() => answer(asked.splice(0), inFlight))
    }
    receive(report)
  }

  return {
    listen: (listener) => {
      receive = listener
      line.listen(take)
    },
    send: (order) => {
      if (!('id' in order)) return line.send(order)
      // It would be read by a program that follows.
      if (isUnclaimed(inode)) return void answer([order])
      asked.push(order)
      line.send(order)
    },
  }
}
