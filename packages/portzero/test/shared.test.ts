import { acquire, define, offer } from 'portzero/shared'
import type { Place, SharedContext } from 'portzero/shared'
import { describe, expect, test } from 'vitest'
import { answers, failure, run } from './support.ts'

const place: Place = { slot: 0, workerId: '1' }

/** A target that counts its starts. */
function counting(): { target: () => { fetch(): Response }; starts(): number } {
  let starts = 0
  const target = (): { fetch(): Response } => {
    starts += 1
    return { fetch: () => new Response('ok') }
  }
  return { target, starts: () => starts }
}

describe('one server for the same target and options', () => {
  test('is started by the first and closed by the last', async () => {
    const { target, starts } = counting()
    const leases = await Promise.all(
      [{}, {}, { grace: undefined }].map((options) => acquire(define(target, options), place)),
    )
    expect(starts()).toBe(1)
    const [{ server }] = leases as [(typeof leases)[0]]
    expect(leases.map((lease) => lease.server)).toEqual([server, server, server])
    await leases[0]?.release()
    await leases[0]?.release()
    await leases[1]?.release()
    expect(await answers(server.port)).toBe(true)
    expect(await leases[2]?.release()).toMatchObject({ outcome: 'graceful' })
    expect(await answers(server.port)).toBe(false)
  })

  test('is started anew once it is closed', async () => {
    const { target, starts } = counting()
    for (let round = 0; round < 2; round += 1) {
      const lease = await acquire(define(target), place)
      await lease.release()
    }
    expect(starts()).toBe(2)
  })

  test.each([
    ['another target', counting().target, {}],
    ['another option', undefined, { grace: 5 }],
  ])('is not given for %s', async (_what, other, options) => {
    const { target } = counting()
    const one = await acquire(define(target), place)
    const two = await acquire(define(other ?? target, options), place)
    expect(one.server.port).not.toBe(two.server.port)
    await Promise.all([one.release(), two.release()])
  })

  test('that fails to start is tried again by the next', async () => {
    let fail = true
    const definition = define(() => {
      if (fail) throw new Error('first')
      return { fetch: () => new Response('ok') }
    })
    const errors = await Promise.all([
      failure(acquire(definition, place)),
      failure(acquire(definition, place)),
    ])
    expect(errors.map(({ code }) => code)).toEqual(['FACTORY_FAILED', 'FACTORY_FAILED'])
    fail = false
    const lease = await acquire(definition, place)
    await lease.release()
  })
})

describe('use()', () => {
  test('gives a factory the server of other fixtures, and keeps it until its own has closed', async () => {
    const order: string[] = []
    const api = offer(
      define(({ onClose }: SharedContext) => {
        onClose(() => order.push('api'))
        return { fetch: () => new Response('from the api') }
      }),
      {},
    )
    const web = define(async ({ use, onClose }: SharedContext) => {
      const { url } = await use(api)
      onClose(() => order.push('web'))
      return { fetch: async () => new Response(await (await fetch(url)).text()) }
    })
    const lease = await acquire(web, place)
    expect(await (await lease.server.fetch('/')).text()).toBe('from the api')
    await lease.release()
    expect(order).toEqual(['web', 'api'])
  })

  test('refuses what liveServer() did not return', async () => {
    const error = await failure(
      acquire(
        define(({ use }: SharedContext) => use({})),
        place,
      ),
    )
    expect(error.cause).toMatchObject({ code: 'INVALID_TARGET' })
  })
})

test('a start that the runner cuts short says what to do', async () => {
  const limit = { ms: 30, advice: 'Raise the limit of the runner.' }
  const definition = define(() => new Promise<never>(() => {}))
  const error = await failure(acquire(definition, { ...place, limit }))
  expect(error.code).toBe('START_TIMEOUT')
  expect(error.message).toMatch(/30 ms.*Raise the limit of the runner\./)
})

test('a start that its own limit cuts short says nothing of the runner', async () => {
  const limit = { ms: 10_000, advice: 'Raise the limit of the runner.' }
  const definition = define(() => new Promise<never>(() => {}), { startTimeout: 30 })
  const error = await failure(acquire(definition, { ...place, limit }))
  expect(error.message).not.toContain('Raise the limit')
})

test('a forced close is told in one paragraph, also where the console is silenced', async () => {
  const program = `
    import { acquire, define } from 'portzero/shared'
    console.warn = () => {}
    const definition = define((_request, _response) => {}, { grace: 20 })
    const { server, release } = await acquire(definition, { slot: 0, workerId: '1' })
    server.fetch('/never').catch(() => {})
    await release()
  `
  const { stderr } = await run(program)
  expect(stderr).toMatch(
    // Where the machine is busy, it may say before what it waits for.
    /^(portzero: server \S+ is closing, and waits for GET \/never, unanswered for \d+ ms.\n)?portzero: server \S+ was closed by force after \d+ ms. In its way: GET \/never, unanswered for \d+ ms.\n$/,
  )
})

test.each([
  [() => define(42 as never), 'INVALID_TARGET'],
  [() => define({ fetch: () => new Response() }, { name: 'not a name' }), 'INVALID_OPTION'],
  [() => define({ fetch: () => new Response() }, { slot: 1 } as never), 'UNKNOWN_OPTION'],
  [() => define({ fetch: () => new Response() }, { grase: 1 } as never), 'UNKNOWN_OPTION'],
])('wrong input is refused before anything starts', async (wrong, code) => {
  expect(await failure((async () => wrong())())).toMatchObject({ code })
})

test('names its fixtures', () => {
  const app = { fetch: () => new Response() }
  expect(define(app)).toMatchObject({ name: 'server', urlName: 'baseURL' })
  expect(define(app, { name: 'api' })).toMatchObject({ name: 'api', urlName: 'apiURL' })
})
