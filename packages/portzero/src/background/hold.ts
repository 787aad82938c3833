import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { settlesWithin } from '../deadline.ts'
import { PortzeroError } from '../errors.ts'
import { HOLDER } from '../files.ts'
import { fromWire } from '../messages/wire-error.ts'
import { withoutHandedOver } from '../processes/handed-over.ts'
import { Connected } from './connected-server.ts'
import type { HeldSpec } from './held-spec.ts'
import type { HolderReport } from './holder.ts'
import { Registry } from './registry.ts'
import type { HeldRecord } from './registry.ts'

/** How long a holder may take to note itself, in ms: a Node process starts, and looks at a directory. */
const NOTED = 30_000

/** A handle of what a record tells of; undefined if it is gone. Rejects with the error of a start that fails. */
export function connectTo(registry: Registry, record: HeldRecord): Promise<Connected | undefined> {
  return Connected.to({ record, socket: registry.socketOf(record) })
}

/** Starts a holder, and what it is to hold. */
export async function hold(given: Omit<HeldSpec, 'id'>): Promise<Connected> {
  const registry = new Registry()
  const spec = { ...given, id: randomBytes(8).toString('hex') }
  const child = spawnHolder(registry.logOf(spec))
  try {
    const record = await noted(child, spec)
    const server = await connectTo(registry, record)
    if (server === undefined) throw vanished(spec)
    return server
  } finally {
    // It goes on by itself, or is ending. One that was not ready gives up.
    if (child.connected) child.disconnect()
    child.unref()
  }
}

function spawnHolder(log: string): ChildProcess {
  const file = openSync(log, 'ax', 0o600)
  try {
    return spawn(process.execPath, [HOLDER], {
      detached: true,
      env: withoutHandedOver(process.env),
      serialization: 'advanced',
      stdio: ['ignore', file, file, 'ipc'],
      windowsHide: true,
    })
  } finally {
    closeSync(file)
  }
}

/** Resolves when the holder has noted itself, from when on it is reached by its socket. */
async function noted(child: ChildProcess, spec: HeldSpec): Promise<HeldRecord> {
  const reported = new Promise<HeldRecord>((resolve, reject) => {
    child.once('message', (report: HolderReport) => {
      if (report.type === 'held') resolve(report.record)
      else reject(fromWire(report.error))
    })
    child.once('exit', () => reject(vanished(spec)))
    child.once('error', reject)
    // How it ends says more.
    child.send(spec, undefined, undefined, () => {})
  })
  if (!(await settlesWithin(reported, NOTED))) {
    child.kill('SIGKILL')
    throw new PortzeroError(
      'START_TIMEOUT',
      `The process that is to hold the server '${spec.name}' has not begun within ${NOTED} ms. Is this machine very busy?`,
    )
  }
  return reported
}

function vanished({ name }: HeldSpec): PortzeroError {
  return new PortzeroError(
    'START_FAILED',
    `The process that was to hold the server '${name}' has ended before the server was ready: somebody may have killed it.`,
  )
}
