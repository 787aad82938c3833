import { isIPv6 } from 'node:net'

/** A host or URL without a path; the port is the server's, unless it names one. */
interface Advertised {
  /** With a colon at the end; undefined for that of the server. */
  readonly protocol: string | undefined
  /** IPv6 addresses in brackets, as URLs have them. */
  readonly hostname: string
  readonly port: string | undefined
}

/** Reads what is given as the option `advertise`; returns nothing for what is no host or URL. */
export function parseAdvertised(text: string): Advertised | undefined {
  const hasProtocol = text.includes('://')
  const address = isIPv6(text) ? `[${text}]` : text
  // A scheme that has no default port, so that none is lost.
  const asUrl = hasProtocol ? address.replace(/^https?:/i, 'x:') : `x://${address}`
  if (!URL.canParse(asUrl)) return undefined
  const { protocol, hostname, port, pathname, search, hash, username } = new URL(asUrl)
  const isPlain = /^\/?$/.test(pathname) && search + hash + username === ''
  if (protocol !== 'x:' || hostname === '' || !isPlain) return undefined
  return {
    protocol: hasProtocol ? text.slice(0, text.indexOf(':') + 1).toLowerCase() : undefined,
    hostname,
    port: port === '' ? undefined : port,
  }
}

/** The URL under which others are to reach a server that is at `url`. */
export function publicUrlOf(url: string, advertise: string | undefined): string {
  const advertised = advertise === undefined ? undefined : parseAdvertised(advertise)
  if (advertised === undefined) return url
  const own = new URL(url)
  const { protocol = own.protocol, hostname, port = own.port } = advertised
  return new URL(`${protocol}//${hostname}:${port}`).origin
}
