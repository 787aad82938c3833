import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { promisify } from 'node:util'
import type { PortzeroError } from 'portzero'
import { onTestFinished } from 'vitest'

/** A promise to be settled from outside. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

/** The error that `work` rejects with; fails if it does not. */
export async function failure(work: Promise<unknown>): Promise<PortzeroError> {
  try {
    await work
  } catch (error) {
    return error as PortzeroError
  }
  throw new Error('It was expected to fail, and did not.')
}

/** True if something accepts connections there. */
export async function answers(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = net.connect(port, host)
  return new Promise((resolve) => {
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** A server that holds a fixed port, as another program would. */
export async function holdPort(port: number): Promise<net.Server> {
  const holder = net.createServer().listen(port)
  await new Promise((resolve, reject) => holder.once('listening', resolve).once('error', reject))
  return holder
}

/** A client of HTTP/2 in another process, to which an answer has begun. It stands still until it is told, and says what it has read. */
export async function clientThatStandsStill(
  url: string,
): Promise<{ read: Promise<unknown[]>; goOn: () => void }> {
  const client = fork(new URL('reads-in-a-while.js', import.meta.url), [url], {
    stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
  })
  onTestFinished(() => void client.kill())
  await once(client, 'message')
  return { read: once(client, 'message'), goOn: () => void client.stdin?.end() }
}

/** Runs a program that imports the packages by their names, and resolves to what it has printed. */
export function run(program: string): Promise<{ stdout: string; stderr: string }> {
  const args = ['--input-type=module', '--eval', program]
  return promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname })
}
