// @ts-check
// Each runtime as it is started without portzero, and with it.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { serve } from 'portzero'
import { freePort } from '../lib/free-port.js'
import { findPython } from '../../scripts/asgi.js'

/**
 * @typedef {object} Running a server that is about to listen, or does
 * @property {number} port
 * @property {() => Promise<unknown>} end
 */

/** @typedef {import('../lib/pairs.js').Side} Side */

const CHILD = new URL('bare-child.js', import.meta.url)
const APP = new URL('app.js', import.meta.url)
const cwd = fileURLToPath(new URL('.', import.meta.url))

export const python = findPython()

/** @type {Record<string, Record<Side, () => Promise<Running>>>} */
export const runtimes = {
  thread: {
    bare: async () => {
      const worker = new Worker(CHILD)
      const [port] = await once(worker, 'message')
      return { port, end: () => worker.terminate() }
    },
    portzero: () => served(APP, { isolation: 'thread' }),
  },
  fork: {
    bare: async () => {
      const child = fork(CHILD)
      const [port] = await once(child, 'message')
      return { port, end: () => kill(child) }
    },
    portzero: () => served(APP, { isolation: 'process' }),
  },
  spawn: {
    bare: async () => {
      const child = spawn(process.execPath, [fileURLToPath(CHILD)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [line] = await once(createInterface(child.stdout), 'line')
      return { port: Number(line), end: () => kill(child) }
    },
    portzero: () => served({ command: [process.execPath, 'start.js'], cwd }),
  },
  uvicorn: {
    bare: async () => {
      const port = await freePort()
      const args = ['-m', 'uvicorn', 'asgi_app:app', '--port', String(port)]
      // What it logs is read, as a user would, and as portzero does.
      const child = spawn(python ?? 'python3', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
      child.stdout.resume()
      for await (const line of createInterface(child.stderr)) if (line.includes('running on')) break
      child.stderr.resume()
      return { port, end: () => kill(child) }
    },
    portzero: () => served({ asgi: 'asgi_app:app', cwd, ...(python !== undefined && { python }) }),
  },
}

/**
 * @param {import('portzero').Target} target
 * @param {import('portzero').ServeOptions} [options]
 * @returns {Promise<Running>}
 */
async function served(target, options) {
  const server = await serve(target, options)
  return { port: server.port, end: () => server.close() }
}

/** @param {import('node:child_process').ChildProcess} child */
async function kill(child) {
  child.kill()
  await once(child, 'exit')
}
