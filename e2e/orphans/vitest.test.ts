import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { copyProject } from '../run-project.ts'
import { ENDINGS, SIGNALS, some } from './cases.ts'
import type { Case } from './cases.ts'
import { expectNothingNoted } from './noted.ts'
import { NOTHING, leftBy } from './prove.ts'

const vitest = join(import.meta.dirname, '../../node_modules/vitest/vitest.mjs')
let project: Awaited<ReturnType<typeof copyProject>>
beforeAll(async () => {
  project = await copyProject('orphans')
})
afterAll(async () => {
  expectNothingNoted(project.folder)
  await project.remove()
})

/** Of these Vitest says that a test failed. */
const isCaught = ({ ending }: Case): boolean =>
  ending === 'process.exit' || ending === 'an uncaught error'

/** Its workers live on: what starts comes to its end first, and so does what stops. A test that waits is not waited for. */
const isOrderly = ({ moment }: Case): boolean => moment !== 'serving'

describe.for([
  {
    who: 'main process',
    pool: 'forks',
    victim: 'program',
    goesOn: isOrderly,
    cases: some(SIGNALS, 0),
  },
  { who: 'worker', pool: 'forks', victim: 'owner', goesOn: isCaught, cases: some(ENDINGS, 4) },
  { who: 'process', pool: 'threads', victim: 'program', goesOn: isCaught, cases: some(ENDINGS, 1) },
] as const)('Vitest with $pool, $who:', ({ pool, victim, goesOn, cases }) => {
  test.concurrent.for(cases)(
    '$ending, while $moment, leaves nothing behind of a child that $kind ($round)',
    async (one, context) => {
      const args = [vitest, 'run', `--pool=${pool}`]
      const program = { args, cwd: project.folder, victim, goesOn }
      const { expect } = context
      expect(await leftBy(program, one, context)).toEqual(NOTHING)
    },
  )
})

describe.for([
  { pool: 'forks', scope: 'slot', cases: some(SIGNALS, 2) },
  { pool: 'forks', scope: 'run', cases: some(SIGNALS, 5) },
  { pool: 'threads', scope: 'run', cases: some(SIGNALS, 7) },
] as const)('Vitest with $pool, server of a $scope:', ({ pool, scope, cases }) => {
  test.concurrent.for(cases)(
    '$ending, while $moment, leaves nothing behind of a child that $kind ($round)',
    async (one, context) => {
      const args = [vitest, 'run', `--pool=${pool}`]
      const cwd = project.folder
      const goesOn = ({ moment }: Case): boolean => moment === 'stopping'
      const program = { args, cwd, victim: 'program', goesOn, scope } as const
      const { expect } = context
      expect(await leftBy(program, one, context)).toEqual(NOTHING)
    },
  )
})
