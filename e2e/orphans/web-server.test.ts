import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { copyProject } from '../run-project.ts'
import { SIGNALS, some } from './cases.ts'
import type { Case } from './cases.ts'
import { NOTHING, leftBy } from './prove.ts'

const playwright = createRequire(import.meta.url).resolve('@playwright/test/cli')
let project: Awaited<ReturnType<typeof copyProject>>
beforeAll(async () => {
  project = await copyProject('orphans')
})
afterAll(() => project.remove())

/** What has begun to stop, stops first. On Ctrl-C Playwright waits for what starts. */
const isOrderly = ({ moment, ending }: Case): boolean =>
  moment === 'stopping' || (moment === 'starting' && ending === 'SIGINT')

const cases = [0, 1, 2].flatMap((first) => some(SIGNALS, first))

describe("Playwright's webServer, runner:", () => {
  test.concurrent.for(cases)(
    '$ending, while $moment, leaves nothing behind of a child that $kind ($round)',
    async (one, context) => {
      // Each run empties its folder.
      const results = join(project.folder, `${one.ending} ${one.moment} ${one.round}`)
      const args = [playwright, 'test', '--config=web-server.config.ts', `--output=${results}`]
      const program = { args, cwd: project.folder, victim: 'program', goesOn: isOrderly } as const
      const { expect } = context
      expect(await leftBy(program, one, context)).toEqual(NOTHING)
    },
  )
})
