import { Stage, kinds } from 'fixture-apps/closing'
import type { Client } from 'fixture-clients'
import { clients } from 'fixture-clients'
import { serve } from 'portzero'
import { describe, expect, test } from 'vitest'
import { A_LITTLE, Watch, inWords, suits } from './watch.ts'

const GRACE = 300
/** What is in flight takes so much longer once closing has begun, in ms. */
const WORK_LEFT = 50

describe.each(kinds.map((kind) => [kind.name, kind] as const))('%s', (_name, kind) => {
  const suitable = clients
    .filter((client) => suits(client, kind))
    .map((client) => [client.name, client] as const)
  test.each(suitable)('closes on %s', async (_title, client) => {
    using watch = new Watch()
    const stage = new Stage()
    const server = await serve(await kind.create(stage), { ...kind.options, grace: GRACE })
    const opened = watch.opened
    const visit = await client.visit({ url: new URL(server.url), stage, opened })

    const calledAt = performance.now()
    const closing = server.close()
    visit.onClosing?.()
    setTimeout(stage.release, WORK_LEFT)
    const report = await closing
    const took = performance.now() - calledAt

    expect(watch.left(), 'connections left at the server').toEqual([])
    expect(await watch.refuses(server), 'nothing listens').toBe(true)
    visit.readAgain?.()
    const endings = await visit.endings
    expect(endings.length).toBeGreaterThan(0)
    expect(watch.unhandled()).toEqual([])
    if (watch.stoodStill()) return
    expect([...new Set(endings)]).toEqual([client.ends])

    const { outcome, blockers, durationMs } = report
    const { blocks } = client
    expect(outcome).toBe(blocks === undefined ? 'graceful' : 'forced')
    const named = new Set(blockers.map(inWords))
    expect([...named]).toEqual(blocks === undefined ? [] : [inWords(blocks)])
    const [least, most] = bounds(client)
    expect(durationMs).toBeGreaterThanOrEqual(least)
    expect(durationMs).toBeLessThan(most)
    expect(took).toBeLessThan(most)
  })
})

/** What closing on a client takes, in ms: not before its work is done, and never the grace if it has no use for it. */
function bounds({ blocks, waits }: Client): [least: number, most: number] {
  if (blocks !== undefined) return [GRACE, GRACE + A_LITTLE]
  // A timer may fire a little early.
  return waits ? [WORK_LEFT - 2, GRACE] : [0, GRACE / 2]
}
