import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { copyProject } from '../run-project.ts'
import { ENDINGS, SIGNALS, some } from './cases.ts'
import type { Case } from './cases.ts'
import { expectNothingNoted } from './noted.ts'
import { NOTHING, leftBy } from './prove.ts'

const playwright = createRequire(import.meta.url).resolve('@playwright/test/cli')
let project: Awaited<ReturnType<typeof copyProject>>
beforeAll(async () => {
  project = await copyProject('orphans')
})
afterAll(async () => {
  expectNothingNoted(project.folder)
  await project.remove()
})

/** Its workers end in order: what has begun to stop, stops first. */
const isOrderly = ({ moment }: Case): boolean => moment === 'stopping'

/** Its workers leave Ctrl-C to it, and an uncaught error is that of a test. */
const isNoEnd = ({ ending, moment }: Case): boolean =>
  ending === 'SIGINT' ||
  ending === 'SIGTERM' ||
  (ending === 'an uncaught error' && moment === 'stopping')

describe.for([
  { who: 'runner', victim: 'program', goesOn: isOrderly, cases: some(SIGNALS, 2) },
  { who: 'worker', victim: 'owner', goesOn: isNoEnd, cases: some(ENDINGS, 0) },
] as const)('Playwright, $who:', ({ who, victim, goesOn, cases }) => {
  test.concurrent.for(cases)(
    '$ending, while $moment, leaves nothing behind of a child that $kind ($round)',
    async (one, context) => {
      // Each run empties its folder.
      const results = join(project.folder, `${who} ${one.ending} ${one.round}`)
      const args = [playwright, 'test', '--reporter=line', `--output=${results}`]
      const program = { args, cwd: project.folder, victim, goesOn }
      const { expect } = context
      expect(await leftBy(program, one, context)).toEqual(NOTHING)
    },
  )
})

describe.for(['slot', 'run'] as const)('Playwright, server of a %s:', (scope) => {
  test.concurrent.for(some(SIGNALS, scope === 'run' ? 4 : 1))(
    '$ending, while $moment, leaves nothing behind of a child that $kind ($round)',
    async (one, context) => {
      const results = join(project.folder, `${scope} ${one.ending} ${one.round}`)
      const args = [playwright, 'test', '--reporter=line', `--output=${results}`]
      const goesOn = isOrderly
      const program = { args, cwd: project.folder, victim: 'program', goesOn, scope } as const
      const { expect } = context
      expect(await leftBy(program, one, context)).toEqual(NOTHING)
    },
  )
})
