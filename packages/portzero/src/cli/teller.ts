import { PortzeroError, messageOf } from '../errors.ts'
import { inWords } from '../in-words.ts'
import type { Together } from '../together.ts'
import type { CloseReport, Exit } from '../types.ts'

type Servers = Together['servers']

/**
 * What `portzero run` says itself. All of it goes to stderr: stdout is the command's alone. As JSON it is a line for each event, which
 * begins with `{"portzero":`.
 */
export class Teller {
  readonly #quiet: boolean
  readonly #json: boolean

  constructor({ quiet, json }: { readonly quiet: boolean; readonly json: boolean }) {
    this.#quiet = quiet
    this.#json = json
  }

  /** A line that a server printed. */
  readonly line = (name: string, line: string): void => {
    if (!this.#quiet) say(`[${name}] ${line}`)
  }

  ready(servers: Servers): void {
    if (this.#json) {
      const told = servers.map(({ name, server: { url, port, pid } }) => ({ name, url, port, pid }))
      return event('ready', { servers: told })
    }
    if (this.#quiet) return
    for (const { name, server } of servers) say(`portzero: ${name} listens at ${server.url}`)
  }

  failed(error: unknown): void {
    const message = messageOf(error)
    const code = error instanceof PortzeroError ? error.code : undefined
    if (this.#json) event('failed', { code, message })
    else say(`portzero: ${code === undefined ? '' : `[${code}] `}${message}`)
  }

  /** The command has failed: what the servers printed may tell why, if it was not shown. */
  commandFailed(servers: Servers): void {
    if (!this.#quiet) return
    for (const { name, server } of servers) {
      for (const line of server.output) say(`[${name}] ${line}`)
    }
  }

  closed(
    servers: Servers,
    reports: readonly (CloseReport | Error)[],
    command: Exit | undefined,
  ): void {
    const told = servers.map(({ name, server }, index) => ({
      name,
      hasDied: server.died !== undefined,
      report: reports[index] as CloseReport | Error,
    }))
    if (this.#json) {
      const ends = told.map(({ name, report }) =>
        report instanceof Error ? { name, error: report.message } : { name, ...report },
      )
      return event('ended', { command, servers: ends })
    }
    for (const { name, hasDied, report } of told) {
      if (report instanceof Error) this.failed(report)
      // What has ended by itself was not killed here: if it matters that was told.
      else if (!this.#quiet && !hasDied && report.outcome !== 'graceful')
        say(`portzero: ${name} ${howItEnded(report)}`)
    }
  }
}

function howItEnded({ outcome, durationMs, blockers }: CloseReport): string {
  const how = outcome === 'killed' ? 'had to be killed' : 'was closed by force'
  const what = blockers.length === 0 ? '' : `; cut off: ${blockers.map(inWords).join('; ')}`
  return `${how} after ${durationMs.toFixed(0)} ms${what}`
}

function event(name: string, details: object): void {
  say(JSON.stringify({ portzero: name, ...details }))
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
