import { createHash, randomBytes, webcrypto } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { performance } from 'node:perf_hooks'
import { BitString, Integer, OctetString, Utf8String } from 'asn1js'
import * as pki from 'pkijs'

/** What a certificate says. */
export interface Statement {
  readonly subject: string
  readonly issuer: string
  /** Whose keys they are. */
  readonly keys: webcrypto.CryptoKeyPair
  /** The issuer's keys. */
  readonly signing: webcrypto.CryptoKeyPair
  /** The hosts that it stands for. Without them it is an authority, which signs others. */
  readonly hosts?: readonly string[]
}

const DAY = 86_400_000
/** How long browsers let a certificate be valid, in ms. */
const VALIDITY = 397 * DAY

/** Makes a certificate as RFC 5280 wants it, with all that strict clients ask for. Resolves to PEM. */
export async function sign({ subject, issuer, keys, signing, hosts }: Statement): Promise<string> {
  const engine = new pki.CryptoEngine({ crypto: webcrypto })
  const certificate = new pki.Certificate()
  certificate.version = 2
  certificate.serialNumber = new Integer({ valueHex: bytes(serial()) })
  certificate.subject.typesAndValues.push(commonName(subject))
  certificate.issuer.typesAndValues.push(commonName(issuer))
  // Not by Date, which a test may have set to another time.
  certificate.notBefore.value = new Date(performance.timeOrigin - DAY)
  certificate.notAfter.value = new Date(performance.timeOrigin - DAY + VALIDITY)
  await certificate.subjectPublicKeyInfo.importKey(keys.publicKey, engine)
  const keyIdentifier = await keyId(signing)
  certificate.extensions = [
    extension(pki.id_SubjectKeyIdentifier, await keyId(keys)),
    extension(
      pki.id_AuthorityKeyIdentifier,
      new pki.AuthorityKeyIdentifier({ keyIdentifier }).toSchema(),
    ),
    ...(hosts === undefined ? ofAuthority() : ofServer(hosts)),
  ]
  await certificate.sign(signing.privateKey, 'SHA-256', engine)
  return toPem('CERTIFICATE', certificate.toSchema(true).toBER())
}

/** Writes what is in `der` as text. */
export function toPem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

function ofAuthority(): pki.Extension[] {
  const constraints = new pki.BasicConstraints({ cA: true, pathLenConstraint: 0 })
  return [
    critical(pki.id_BasicConstraints, constraints.toSchema()),
    // keyCertSign
    critical(pki.id_KeyUsage, new BitString({ valueHex: bytes([0x04]), unusedBits: 2 })),
  ]
}

function ofServer(hosts: readonly string[]): pki.Extension[] {
  const names = new pki.GeneralNames({ names: hosts.map(generalName) })
  const serverAuth = new pki.ExtKeyUsage({ keyPurposes: ['1.3.6.1.5.5.7.3.1'] })
  return [
    critical(pki.id_BasicConstraints, new pki.BasicConstraints({ cA: false }).toSchema()),
    // digitalSignature
    critical(pki.id_KeyUsage, new BitString({ valueHex: bytes([0x80]), unusedBits: 7 })),
    extension(pki.id_ExtKeyUsage, serverAuth.toSchema()),
    extension(pki.id_SubjectAltName, names.toSchema()),
  ]
}

interface Encodable {
  toBER(): ArrayBuffer
}

function extension(extnID: string, value: Encodable): pki.Extension {
  return new pki.Extension({ extnID, extnValue: value.toBER() })
}

function critical(extnID: string, value: Encodable): pki.Extension {
  return new pki.Extension({ extnID, critical: true, extnValue: value.toBER() })
}

function commonName(value: string): pki.AttributeTypeAndValue {
  return new pki.AttributeTypeAndValue({ type: '2.5.4.3', value: new Utf8String({ value }) })
}

function generalName(host: string): pki.GeneralName {
  const address = addressBytes(host)
  return address === undefined
    ? new pki.GeneralName({ type: 2, value: host })
    : new pki.GeneralName({ type: 7, value: new OctetString({ valueHex: bytes(address) }) })
}

/** The bytes of an IP address, or `undefined` for a name. */
function addressBytes(host: string): number[] | undefined {
  const [address = ''] = host.split('%')
  if (isIPv4(address)) return address.split('.').map(Number)
  if (!isIPv6(address)) return undefined
  // As a URL has it, all groups are hexadecimal, and at most one run of zeros is left out.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const [left = [], right = []] = groups.map((part) => part.split(':').filter(Boolean))
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

// Positive, and never zero.
function serial(): Uint8Array {
  const value = randomBytes(16)
  value[0] = ((value[0] ?? 0) & 0x7f) | 0x40
  return value
}

async function keyId({ publicKey }: webcrypto.CryptoKeyPair): Promise<OctetString> {
  const key = await webcrypto.subtle.exportKey('raw', publicKey)
  const hash = createHash('sha256').update(new Uint8Array(key)).digest()
  return new OctetString({ valueHex: bytes(hash.subarray(0, 20)) })
}

function bytes(values: ArrayLike<number>): ArrayBuffer {
  return Uint8Array.from(values).buffer
}
