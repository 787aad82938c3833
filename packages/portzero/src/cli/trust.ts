import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VARIABLE = 'NODE_EXTRA_CA_CERTS'

/** What makes a Node program trust the servers. Whoever asks for it calls `remove()`. */
export interface Trust {
  readonly env: Readonly<Record<string, string>>
  remove(): void
}

/** A file with the authorities that have signed the servers' certificates, beside those that are trusted already. */
export function trustIn(authorities: readonly (string | undefined)[]): Trust {
  const ours = authorities.filter((pem) => pem !== undefined)
  if (ours.length === 0) return { env: {}, remove: () => {} }
  const folder = mkdtempSync(join(tmpdir(), 'portzero-'))
  const file = join(folder, 'ca.pem')
  writeFileSync(file, [...theirs(), ...ours].join('\n'))
  return {
    env: { [VARIABLE]: file },
    remove: () => rmSync(folder, { recursive: true, force: true }),
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
