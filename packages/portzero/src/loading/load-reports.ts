import { dirname, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MessagePort } from 'node:worker_threads'
import type { Channel } from '../messages/channel.ts'

/** Is told of the path of a file that an app has loaded: once or more. */
export type OnLoad = (file: string) => void

/** Has Node's own loaders report what they load, as `node --watch` does: ES modules, CommonJS, and what a loader of another's finds. */
export const REPORTING: Readonly<Record<string, string>> = { WATCH_REPORT_DEPENDENCIES: '1' }

const OURS = dirname(fileURLToPath(import.meta.url)) + sep
const FOREIGN = `${sep}node_modules${sep}`

/** Keeps the reports of Node's loaders from whoever listens on a channel, and tells `onLoad` of the files outside of node_modules. */
export function withoutLoads(
  onLoad: OnLoad | undefined,
  channel: Channel<object, unknown>,
): Channel<object, unknown> {
  return {
    ...channel,
    listen: (receive) =>
      channel.listen((message) => {
        const files = filesIn(message)
        if (files === undefined) return receive(message)
        for (const file of files) {
          if (!file.includes(FOREIGN) && !file.startsWith(OURS)) onLoad?.(file)
        }
      }),
  }
}

/** In a thread: Node's loaders report to `process.send()`, which has nobody at its other end there, or is missing. */
export function reportLoadsTo(port: MessagePort): void {
  if (process.env['WATCH_REPORT_DEPENDENCIES'] === undefined) return
  process.send = (message: unknown): boolean => (port.postMessage(message), true)
}

/** The files that a report of Node's names; `undefined` if it is none. */
function filesIn(message: unknown): string[] | undefined {
  const report = Object(message) as { 'watch:import'?: unknown; 'watch:require'?: unknown }
  const named = report['watch:import'] ?? report['watch:require']
  if (!Array.isArray(named)) return undefined
  // What it did not find is among them, and what is built in.
  return named.flatMap((name: unknown) => {
    if (typeof name !== 'string') return []
    if (name.startsWith('file:')) return [fileURLToPath(name)]
    return name.startsWith(sep) || /^[A-Za-z]:\\/.test(name) ? [name] : []
  })
}
