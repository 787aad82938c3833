/** How an owner ends: by a signal from outside, or by its own doing. */
export const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const
export const ENDINGS = [...SIGNALS, 'process.exit', 'an uncaught error'] as const
const MOMENTS = ['starting', 'serving', 'stopping'] as const
const KINDS = ['obeys', 'ignores SIGTERM', 'has a detached grandchild'] as const

export type Ending = (typeof ENDINGS)[number]

export interface Case {
  readonly ending: Ending
  readonly moment: (typeof MOMENTS)[number]
  /** What its child does. */
  readonly kind: (typeof KINDS)[number]
  /** Which try it is, from 1. */
  readonly round: number
}

/** So often everything is tried: `PORTZERO_TRIES=20 npx vitest run --project e2e orphans`. */
const TRIES = Number(process.env['PORTZERO_TRIES'] ?? 1)

/** Each ending at each moment with each kind of child. */
export function all(): Case[] {
  return rounds((round) =>
    ENDINGS.flatMap((ending) =>
      MOMENTS.flatMap((moment) => KINDS.map((kind) => ({ ending, moment, kind, round }))),
    ),
  )
}

/**
 * Each of some endings once, with each moment and each kind among them; in the next try with others. After nine tries that were all.
 * `first` says with which to begin.
 */
export function some(endings: readonly Ending[], first: number): Case[] {
  return rounds((round) =>
    endings.map((ending, index) => {
      const pair = first + round - 1 + index
      const moment = MOMENTS[pair % 3]!
      const kind = KINDS[(pair + Math.floor(pair / 3)) % 3]!
      return { ending, moment, kind, round }
    }),
  )
}

function rounds(casesOf: (round: number) => Case[]): Case[] {
  return Array.from({ length: TRIES }, (_, index) => casesOf(index + 1)).flat()
}
