import { join } from 'node:path'
import { describe, test } from 'vitest'
import { all } from './cases.ts'
import { NOTHING, leftBy } from './prove.ts'

const cwd = join(import.meta.dirname, '../../fixtures/projects/orphans')

describe('serve()', () => {
  test.concurrent.for(all())(
    '$ending, while $moment, leaves nothing behind of a child that $kind ($round)',
    async (one, context) => {
      const program = { args: ['plain.js'], cwd, victim: 'owner' } as const
      const { expect } = context
      expect(await leftBy(program, one, context)).toEqual(NOTHING)
    },
  )
})
