// @ts-check
// The same by jest-dev-server, as its documentation has it: `with-jest-dev-server.js <port> <command…>`.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setup, teardown } from 'jest-dev-server'

const [port = '', program = '', ...args] = process.argv.slice(2)
const server = fileURLToPath(new URL('server.js', import.meta.url))

const servers = await setup({
  command: `PORT=${port} node ${server}`,
  host: '127.0.0.1',
  port: Number(port),
})
spawnSync(program, args, { stdio: 'inherit' })
await teardown(servers)
