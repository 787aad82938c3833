import { answersNothing, samples } from 'fixture-apps'
import { serve } from 'portzero'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answers, gate, holdPort } from './support.ts'
import type { Server } from 'node:net'

describe.each(samples)('$name', ({ says, target }) => {
  let taken: Server | undefined
  beforeAll(async () => (taken = await holdPort(3000).catch(() => undefined)))
  afterAll(() => void taken?.close())

  test('answers on a port of its own, ten at once', async () => {
    const servers = await Promise.all(
      Array.from({ length: 10 }, async () => serve(await target(answersNothing))),
    )
    const bodies = await Promise.all(servers.map(async ({ fetch }) => (await fetch('/')).text()))
    expect(bodies).toEqual(Array.from({ length: 10 }, () => says))
    expect(new Set(servers.map(({ port }) => port)).size).toBe(10)
    const reports = await Promise.all(servers.map((server) => server.close()))
    expect(reports.map(({ outcome }) => outcome)).toEqual(reports.map(() => 'graceful'))
    const open = await Promise.all(servers.map(({ port }) => answers(port)))
    expect(open).not.toContain(true)
  })

  test('has the URL that its port and host say', async () => {
    await using server = await serve(await target(answersNothing))
    const { protocol, hostname, port, pathname } = new URL(server.url)
    expect(['http:', 'https:']).toContain(protocol)
    expect([hostname, port, pathname]).toEqual([server.host, String(server.port), '/'])
    expect(server.url.endsWith('/')).toBe(false)
  })

  test('receives a body', async () => {
    await using server = await serve(await target(answersNothing))
    const response = await server.fetch('/echo', { method: 'POST', body: 'a body' })
    expect(await response.text()).toBe('a body')
  })

  test('lets a request in flight finish, and closes once', async () => {
    const [reached, release] = [gate(), gate()]
    const wait = (): Promise<void> => {
      reached.open()
      return release.opened
    }
    const server = await serve(await target({ wait }))
    const answer = server.fetch('/wait').then((response) => response.text())
    await reached.opened
    const closings = [server.close(), server.close()]
    release.open()
    expect(await answer).toBe('done')
    const [first, second] = await Promise.all(closings)
    expect(first).toMatchObject({ outcome: 'graceful', blockers: [] })
    expect(second).toBe(first)
    expect(await server.close()).toBe(first)
  })

  test('cuts off what outlasts the grace, and names it', async () => {
    const reached = gate()
    const wait = async (): Promise<void> => {
      reached.open()
      await new Promise(() => {})
    }
    const server = await serve(await target({ wait }), { grace: 30 })
    const answer = server.fetch('/wait?for=ever').then(
      () => 'answered',
      () => 'cut off',
    )
    await reached.opened
    const report = await server.close()
    expect(await answer).toBe('cut off')
    expect(report.outcome).toBe('forced')
    expect(report.blockers).toEqual([
      { kind: 'request', method: 'GET', path: '/wait?for=ever', ageMs: expect.any(Number) },
    ])
    expect(report.durationMs).toBeGreaterThanOrEqual(30)
    expect(await answers(server.port)).toBe(false)
  })
})
