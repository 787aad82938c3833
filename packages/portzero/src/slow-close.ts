import { clearTimeout, setTimeout } from 'node:timers'
import { inWords } from './in-words.ts'
import type { CloseReport, InFlight } from './types.ts'

/** A close that takes longer than so many ms says what it waits for. */
const SLOW = 250

interface Closing {
  readonly url: string
  readonly pid?: number | undefined
  inFlight(): readonly InFlight[]
  /** What was asked with its `fetch`, and may be on its way. */
  unanswered?(): readonly InFlight[]
}

/** Tells what a close waits for, once it takes its time. */
export async function tellingClose(
  name: string,
  server: Closing,
  close: Promise<CloseReport>,
  tell: (sentence: string) => void,
): Promise<CloseReport> {
  const slow = setTimeout(() => tell(slowClose(name, server)), SLOW)
  return close.finally(() => clearTimeout(slow))
}

function slowClose(name: string, server: Closing): string {
  const arrived = server.inFlight()
  const requests = arrived.length > 0 ? arrived : (server.unanswered?.() ?? [])
  const reason = requests.length > 0 ? requests.map(inWords).join('; ') : afterAnswers(server)
  return `${name} ${server.url} is closing, and waits for ${reason}.`
}

/** What it waits for once all is answered. Of a process nobody tells what it does until it ends. */
function afterAnswers({ pid }: Closing): string {
  return pid === undefined ? 'its close hooks' : `its process ${pid} to run its close hooks and end`
}

/** One paragraph for whoever reads the run: what was cut off. */
export function forcedClose(
  name: string,
  { url }: Pick<Closing, 'url'>,
  { outcome, durationMs, blockers }: CloseReport,
): string {
  const [how, unnamed] =
    outcome === 'killed'
      ? ['killed', 'It did not end when it was asked to.']
      : ['closed by force', 'An answer that was not read to its end was cut off.']
  const inItsWay =
    blockers.length === 0 ? unnamed : `In its way: ${blockers.map(inWords).join('; ')}.`
  return `${name} ${url} was ${how} after ${durationMs.toFixed(0)} ms. ${inItsWay}`
}
