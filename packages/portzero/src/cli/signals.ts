import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { performance } from 'node:perf_hooks'

/** Those that ask to end. */
const ASKING = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** Those by which this process ends, where its command has: others would say that it has crashed itself. */
const MEANT: ReadonlySet<string> = new Set(['SIGINT', 'SIGTERM', 'SIGHUP'])

/** Signals that come within so many ms are one: a terminal tells everybody, and npm its children once more. */
const SAME = 500

/** A terminal sends these to all processes in its foreground. */
const OF_A_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT'])

/** How this process is asked to end, and what it then does. It does not end by itself any more. */
export class Asked {
  /** The last signal; undefined if there was none. */
  signal: NodeJS.Signals | undefined
  /** How often it was asked. */
  times = 0
  obey: (signal: NodeJS.Signals, times: number) => void
  #last = -Infinity

  constructor(obey: Asked['obey']) {
    this.obey = obey
    for (const signal of ASKING) process.on(signal, () => this.#take(signal))
  }

  #take(signal: NodeJS.Signals): void {
    const now = performance.now()
    if (now - this.#last < SAME) return
    this.#last = now
    this.signal = signal
    this.times += 1
    this.obey(signal, this.times)
  }
}

/** Whether a signal that this process got has most likely reached its whole group, by a key of the terminal. */
export function hasReachedGroup(signal: NodeJS.Signals): boolean {
  return OF_A_TERMINAL.has(signal) && isInForeground()
}

function isInForeground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1')
    // The name in brackets may contain anything.
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return group === foreground
  } catch {
    return process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  }
}

/** Ends this process as a signal would, so that who waits for it sees that. Returns the exit code that says the same, where it does not. */
export function endBy(signal: NodeJS.Signals): number {
  if (MEANT.has(signal)) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  return 128 + constants.signals[signal]
}
