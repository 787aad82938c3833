import { once } from 'node:events'
import net from 'node:net'
import type { Fixtures } from '@playwright/test'
import { channelOver, settlesWithin } from 'portzero/apart'
import { DIRECTORY, socketIn } from './messages.ts'
import type { Answer, LogLine, Question } from './messages.ts'

/** How long to wait for the log, in ms. The program has nothing else to do. */
const LIMIT = 5_000

/**
 * A fixture that adds to the report of each test that fails what the servers of `webServer()` printed while it ran, as the attachment
 * `server log`. What they printed for tests of other workers at that time is in it too.
 *
 * ```ts
 * export const test = base.extend(webServerLog())
 * ```
 */
export function webServerLog(): Fixtures<{ webServerLog: undefined }> {
  return {
    webServerLog: [
      async ({}, use, testInfo) => {
        const since = Date.now()
        await use(undefined)
        if (testInfo.status === testInfo.expectedStatus) return
        const lines = await linesSince(since)
        if (lines.length > 0) await testInfo.attach('server log', { body: textOf(lines) })
      },
      { auto: true, box: true },
    ],
  }
}

async function linesSince(since: number): Promise<readonly LogLine[]> {
  const directory = process.env[DIRECTORY]
  if (directory === undefined) return []
  const socket = net.connect(socketIn(directory))
  const channel = channelOver<Question, Answer>(socket)
  let lines: readonly LogLine[] = []
  const answered = new Promise<void>((resolve) => {
    channel.listen((answer) => {
      if (answer.type === 'log') lines = answer.lines
      resolve()
    })
  })
  channel.send({ type: 'log', since })
  // The program may have been killed meanwhile, of which the test tells.
  await settlesWithin(Promise.race([answered, once(socket, 'close')]), LIMIT)
  socket.destroy()
  return lines
}

/** With the name of the server before each line, if there are several. */
function textOf(lines: readonly LogLine[]): string {
  const isOne = new Set(lines.map(({ name }) => name)).size === 1
  return lines.map(({ name, line }) => (isOne ? line : `[${name}] ${line}`)).join('\n')
}
