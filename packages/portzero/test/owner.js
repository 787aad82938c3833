// @ts-check
// Owns children of every kind, and ends at a moment, in a way: `owner.js <moment> <ending>`. Without an ending it goes on.
// Tells who they are when all are ready: by lines of JSON, or by messages if it is a thread.
import { writeSync } from 'node:fs'
import { parentPort as parent } from 'node:worker_threads'
import { OwnedProcess } from '../dist/processes/owned-process.js'
import { lease } from '../dist/processes/watchdog.js'

/** @param {string} name */
const misbehaving = (name) =>
  new URL(`../../../fixtures/misbehaving/${name}`, import.meta.url).pathname
const obeys = ['-e', 'setInterval(() => {}, 60_000); console.log(`ready ${process.pid}`)']
const node = process.execPath

/** @type {[file: string, ...args: string[]][]} */
const children = [
  [node, ...obeys],
  [node, misbehaving('ignores-sigterm.js')],
  [node, misbehaving('blocks-event-loop.js')],
  ['/bin/sh', misbehaving('behind-a-shell.sh'), node, ...obeys],
]
// Elsewhere nothing tells whose child it was.
if (process.platform === 'linux') children.push([node, misbehaving('detached-grandchild.js')])

const [moment, ending] = process.argv.slice(2)
const isAmidStarting = moment === 'starting one after another'
// While it starts it may not have been told of yet, and then only its environment tells whose child it is.
if (!isAmidStarting) children.push(['/usr/bin/env', '-i', node, ...obeys])

tell({ lease })

if (isAmidStarting) {
  for (const command of children) {
    tell({ starting: command })
    await start(command)
  }
}

const starting = children.map((command) => start(command))
if (moment === 'starting') end()
const owned = await Promise.all(starting)
const ready = await Promise.all(owned.map((child) => pidWhenReady(child)))
// It goes on until the end: some do not obey.
if (moment === 'stopping') {
  for (const child of owned) void child.stop({ signal: 'SIGTERM', grace: 60_000 })
}
tell({ pids: [...owned.map(({ pid }) => pid), ...ready] })
if (moment === 'stopped') {
  await Promise.all(owned.map((child) => child.stop({ signal: 'SIGTERM', grace: 0 })))
} else {
  end()
}

/** @param {object} value */
function tell(value) {
  // The rule is for windows.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  if (parent) parent.postMessage(value)
  // Not console.log: it has to be out before the end.
  else writeSync(1, `${JSON.stringify(value)}\n`)
}

/** @param {[file: string, ...args: string[]]} command */
function start([file, ...args]) {
  return OwnedProcess.spawn({ file, args, env: process.env })
}

/**
 * @param {OwnedProcess} child
 * @returns {Promise<number>}
 */
function pidWhenReady(child) {
  return new Promise((resolve) => {
    child.output.onLine((line) => {
      if (line.startsWith('ready ')) resolve(Number(line.slice('ready '.length)))
    })
  })
}

function end() {
  if (ending === undefined) return
  if (ending === 'process.exit') process.exit(0)
  if (ending === 'an uncaught error') throw new Error('This is the error.')
  process.kill(process.pid, ending)
}
