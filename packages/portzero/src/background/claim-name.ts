import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { PortzeroError } from '../errors.ts'
import type { HeldRecord, Registry } from './registry.ts'

/** How long to wait before others that want the name are looked at again, in ms. */
const AGAIN = 5

/** How long others may take to make up their minds, in ms: each looks at a directory. One that was stopped half-way never does. */
const UNDECIDED = 5_000

/**
 * Notes `record` as the one that has its name, in the state `starting`. Throws `NAME_TAKEN`, with the record removed, if another one has.
 *
 * No two have a name: each is noted as `claiming` before it looks, and has the name only if it then sees no other. Of two, one looks
 * last: after both are noted. So it sees the other, whose file keeps its name when its state changes, and does not take the name
 * unless that one withdraws.
 *
 * One gets it: of those that are `claiming`, the one with the least id withdraws only for one that has the name already. The others
 * withdraw for it, or are killed, and what is killed is not seen. (One that withdraws for a claimant that is killed then reports a name
 * that nobody has: as true as if it had come a moment before.)
 */
export async function claimName(registry: Registry, record: HeldRecord): Promise<HeldRecord> {
  const deadline = performance.now() + UNDECIDED
  registry.write({ ...record, state: 'claiming' })
  for (;;) {
    const others = registry
      .list()
      .filter(({ name, id }) => name === record.name && id !== record.id)
    const winner =
      others.find(({ state }) => state !== 'claiming') ??
      others.find(({ id }) => id < record.id) ??
      (performance.now() > deadline ? others[0] : undefined)
    if (winner !== undefined) {
      registry.remove(record)
      throw nameTaken(winner)
    }
    if (others.length === 0) break
    await delay(AGAIN)
  }
  const claimed: HeldRecord = { ...record, state: 'starting' }
  registry.write(claimed)
  return claimed
}

function nameTaken({ name, state, target, holder, url }: HeldRecord): PortzeroError {
  const doing = state === 'ready' ? `runs at ${url}` : `is ${STATES[state]}`
  return new PortzeroError(
    'NAME_TAKEN',
    `A server named '${name}' ${doing} already: ${target}, held by process ${holder.pid}. ` +
      `Use it with connect('${name}'), end it with \`portzero stop ${name}\`, or give this one another name.`,
  )
}

const STATES = {
  claiming: 'being started',
  starting: 'being started',
  died: 'noted, but has died,',
}
