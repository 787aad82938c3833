// What Playwright runs for an entry of webServer(): starts the server, says so, and ends with whoever has started this.
import { rm } from 'node:fs/promises'
import { ownAll } from 'portzero/shared'
import { Follower } from './follower.ts'
import { Holder } from './holder.ts'
import { VARIABLE } from './messages.ts'
import type { News, Told } from './messages.ts'

const told = JSON.parse(process.env[VARIABLE] ?? '') as Told
// It is not for the servers.
delete process.env[VARIABLE]

ownAll()
// A runner that is gone reads nothing.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

const opening = open()
let ending: Promise<void> | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end(0))
// A pipe of the runner's: it ends with it, however that ends. Nothing comes by it.
process.stdin
  .on('end', () => end(0))
  .on('error', () => end(0))
  .resume()
;(await opening).follow(told.name, hear)

async function open(): Promise<Holder | Follower> {
  const opened = (await Holder.open(told)) ?? (await Follower.open(told))
  if (opened !== undefined) return opened
  // What a program that was killed has left.
  await rm(told.directory, { recursive: true, force: true })
  return open()
}

function hear(news: News): void {
  switch (news.type) {
    case 'line':
      return void process.stdout.write(`${news.line}\n`)
    case 'ready':
      return void process.stdout.write(
        `portzero: ${told.name} is ready at ${news.url}, its log in ${told.directory}\n`,
      )
    case 'failed':
      say(news.message)
      return end(1)
    case 'died':
    case 'closing':
      return say(news.message)
    case 'ended':
      if (news.message !== undefined) say(news.message)
  }
}

function say(message: string): void {
  process.stderr.write(`portzero: ${message}\n`)
}

function end(code: number): void {
  ending ??= opening.then((servers) => servers.end()).then(() => process.exit(code))
}
