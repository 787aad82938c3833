import { setImmediate } from 'node:timers/promises'
import { Stage, kinds, socketIo } from 'fixture-apps/closing'
import { clients, h2UndiciInFlight } from 'fixture-clients'
import { serve } from 'portzero'
import { describe, expect, test } from 'vitest'
import { Watch, suits } from './watch.ts'

const GRACE = 300

const clientsOfSocketIo = clients
  .filter(({ needs }) => needs.includes('socket.io'))
  .map((client) => [client.name, client] as const)

test.each(clientsOfSocketIo)(
  'a server of socket.io that is closed on the signal is not held up by %s',
  async (_name, client) => {
    using watch = new Watch()
    const stage = new Stage()
    const server = await serve(socketIo.createTold(stage), { grace: GRACE })
    const visit = await client.visit({ url: new URL(server.url), stage, opened: watch.opened })

    const { outcome, durationMs } = await server.close()

    expect(watch.left(), 'connections left at the server').toEqual([])
    expect(await watch.refuses(server), 'nothing listens').toBe(true)
    expect([...new Set(await visit.endings)]).toEqual(['transport close, then refused'])
    expect(watch.unhandled()).toEqual([])
    if (watch.stoodStill()) return
    expect(outcome).toBe('graceful')
    expect(durationMs).toBeLessThan(GRACE / 2)
  },
)

const kindsForUndici = kinds
  .filter((kind) => suits(h2UndiciInFlight, kind))
  .map((kind) => [kind.name, kind] as const)

describe.each(kindsForUndici)('%s', (_name, kind) => {
  // Before, while and after the server looks for what is in flight.
  test.each([0, 1, 2, 3, 4, 5])(
    'loses no answer that it gives undici %i turns after closing has begun',
    async (turns) => {
      using watch = new Watch()
      const stage = new Stage()
      const server = await serve(await kind.create(stage), { ...kind.options, grace: GRACE })
      const visited = { url: new URL(server.url), stage, opened: watch.opened }
      const { endings } = await h2UndiciInFlight.visit(visited)

      const closing = server.close()
      for (let turn = 0; turn < turns; turn += 1) await setImmediate()
      stage.release()

      expect((await closing).outcome).toBe('graceful')
      expect([...new Set(await endings)]).toEqual(['answered'])
    },
  )
})
