import { randomBytes, webcrypto } from 'node:crypto'
import { domainToASCII } from 'node:url'

/** What a server needs to speak TLS, and its clients to trust it. All are PEM. */
export interface Certificate {
  readonly key: string
  readonly cert: string
  /** The certificate of the authority that signed `cert`. */
  readonly ca: string
}

interface Authority {
  readonly name: string
  readonly keys: webcrypto.CryptoKeyPair
  readonly ca: string
}

/** The names by which a machine reaches itself. */
const LOOPBACK = ['localhost', '127.0.0.1', '::1']

let authority: Promise<Authority> | undefined
const certificates: Map<string, Promise<Certificate>> = new Map()

/**
 * The certificate of the servers that this process starts on `host`, and that are reached as `advertised`, signed by an authority of this process alone, so that who
 * trusts one of its servers trusts all. It is made in memory, and gone with the process.
 */
export function certificateFor(host: string, advertised?: string): Promise<Certificate> {
  const hosts = advertised === undefined ? [host] : [host, advertised.replaceAll(/[[\]]/g, '')]
  const key = hosts.join(' ')
  const certificate = certificates.get(key) ?? make(hosts)
  certificates.set(key, certificate)
  return certificate
}

async function make(names: readonly string[]): Promise<Certificate> {
  authority ??= makeAuthority()
  // Only those who want https wait for this to load.
  const { sign, toPem } = await import('./x509.ts')
  const [{ name, keys: signing, ca }, keys] = await Promise.all([authority, generateKeys()])
  const hosts = [...new Set([...LOOPBACK, ...names.map((host) => domainToASCII(host) || host)])]
  const cert = await sign({ subject: 'portzero', issuer: name, keys, signing, hosts })
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { key: toPem('PRIVATE KEY', key), cert, ca }
}

async function makeAuthority(): Promise<Authority> {
  const { sign } = await import('./x509.ts')
  const keys = await generateKeys()
  // Who trusts several tells them apart by name.
  const name = `portzero ${randomBytes(8).toString('hex')}`
  return { name, keys, ca: await sign({ subject: name, issuer: name, keys, signing: keys }) }
}

// Made in a millisecond, where RSA takes a hundred.
function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}
