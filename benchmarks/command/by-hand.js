// @ts-check
// What one writes oneself: starts the server, waits for its line, runs the command, and ends the server.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const SERVER = fileURLToPath(new URL('server.js', import.meta.url))

/** @param {readonly string[]} command */
export async function runByHand([program = '', ...args]) {
  const server = spawn(process.execPath, [SERVER], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(createInterface(server.stdout), 'line')
  await once(spawn(program, args, { stdio: 'inherit' }), 'exit')
  server.kill()
  await once(server, 'exit')
}

if (process.argv[1] === import.meta.filename) await runByHand(process.argv.slice(2))
