import { settlesWithin } from './deadline.ts'
import { PortzeroError } from './errors.ts'
import { inWords } from './in-words.ts'
import { checkIdleOptions } from './options.ts'
import type { IdleOptions, InFlight } from './types.ts'

/** How long `idle()` waits by default, in ms. */
const IDLE_TIMEOUT = 5_000

interface Busy {
  readonly url: string
  /** Resolves when nothing is in flight, however long that takes. */
  whenIdle(): Promise<void>
  inFlight(): readonly InFlight[]
}

/** Resolves when nothing is in flight, nor on its way there from its `client`. Throws `NOT_IDLE`, naming what is. */
export async function idleWithin(
  server: Busy,
  client: Pick<Busy, 'inFlight'>,
  options: IdleOptions,
): Promise<void> {
  checkIdleOptions(options)
  const { timeout = IDLE_TIMEOUT } = options
  const idle = server.whenIdle()
  if (await settlesWithin(idle, timeout)) return idle
  const arrived = server.inFlight().filter(({ kind }) => kind === 'request')
  const busy = arrived.length > 0 ? arrived : client.inFlight()
  throw new PortzeroError(
    'NOT_IDLE',
    `The server at ${server.url} was not idle within ${timeout} ms: ${busy.map(inWords).join('; ')}. ` +
      'Wait in the test for what it starts, or give it longer.',
  )
}
