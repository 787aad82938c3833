import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { acquire, define, followTest } from 'portzero/shared'
import type { SharedOptions } from 'portzero/shared'
import { expect, onTestFinished, test } from 'vitest'
import type { LiveServer } from 'portzero'
import { APP } from './background.ts'
import { until } from './processes.ts'
import { temporaryFolder } from './temporary-folder.ts'

type Definition = ReturnType<typeof define>

/** A server that runs until the test has ended, and how its fixtures are defined. */
async function start(options: SharedOptions): Promise<[LiveServer, Definition]> {
  const app = join(await temporaryFolder(), 'app.mjs')
  await writeFile(app, APP)
  const definition = define(app, { grace: 20, ...options })
  const { server, release } = await acquire(definition, { slot: 0, workerId: '1' })
  onTestFinished(async () => void (await release()))
  return [server, definition]
}

/** Asks what is answered once `/lets-go` is asked. Resolves when it has arrived. */
async function hold(server: LiveServer, query: string): Promise<void> {
  const before = server.inFlight().length
  server.fetch(`/holds?${query}`).catch(() => {})
  await until(
    () => server.inFlight().length > before,
    () => server.inFlight(),
  )
}

test.each(['inline', 'process'] as const)(
  'a test waits for what it has asked itself, and for nothing else: %s',
  async (isolation) => {
    const [server, definition] = await start({ isolation, lingering: 'wait', grace: 60_000 })
    onTestFinished(async () => void (await server.close({ grace: 0 })))
    await hold(server, 'nobody')
    const ended = await followTest(definition, {}, 'asks')
    const own = server.fetch('/late')
    const ending = ended()
    expect(await (await own).text()).toBe('late')
    await ending
    expect(server.inFlight()).toMatchObject([{ path: '/holds?nobody' }])
  },
)
