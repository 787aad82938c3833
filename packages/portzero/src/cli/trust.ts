import { randomUUID } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { guard, removeAtEnd } from '../processes/watchdog.ts'

const VARIABLE = 'NODE_EXTRA_CA_CERTS'

/** What makes a Node program trust the servers. Whoever asks for it calls `remove()`. */
export interface Trust {
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

/**
 * A file with the authorities that have signed the servers' certificates, beside those that are trusted already. It ends with this process,
 * however that does; not on Windows, if that is killed.
 */
export function trustIn(authorities: readonly (string | undefined)[]): Trust {
  const ours = authorities.filter((pem) => pem !== undefined)
  if (ours.length === 0) return { env: {}, remove: () => {} }
  // From the root, for those that read it elsewhere.
  const file = resolve(tmpdir(), `portzero-${randomUUID()}.pem`)
  if (process.platform !== 'win32') guard()
  removeAtEnd(file)
  writeFileSync(file, [...theirs(), ...ours].join('\n'), { flag: 'wx', mode: 0o600 })
  return {
    env: { [VARIABLE]: file },
    remove: () => {
      rmSync(file, { force: true })
      removeAtEnd('')
    },
  }
}

function theirs(): string[] {
  const file = process.env[VARIABLE]
  try {
    return file === undefined || file === '' ? [] : [readFileSync(file, 'utf8')]
  } catch {
    // Node warns of it, and goes on.
    return []
  }
}
