import { Client } from './client.ts'
import { Live } from './live-server.ts'
import type { LiveServer } from './types.ts'

/** What another process has to know of a server, to reach it. Made of strings, numbers and booleans alone. */
export interface Address {
  readonly url: string
  /** Where it is reached on this machine; by `url` perhaps from elsewhere only. */
  readonly boundUrl: string
  readonly host: string
  readonly port: number
  readonly ca: string | undefined
  readonly http2: boolean
}

/** For a {@link DistantServer} in another process. */
export function addressOf(server: LiveServer): Address {
  const { url, host, port, ca } = server
  // One that a serve() of another version has made does not tell.
  const { boundUrl, http2 } = server instanceof Live ? server : { boundUrl: url, http2: false }
  return { url, boundUrl, host, port, ca, http2 }
}

/** A server that another process has, reached from here. Whoever made this closes it: that lets go of the connections, and the server goes on. */
export class DistantServer implements Pick<LiveServer, 'url' | 'host' | 'port' | 'ca' | 'fetch'> {
  readonly url: string
  readonly host: string
  readonly port: number
  readonly ca: string | undefined
  readonly #client: Client

  constructor({ url, boundUrl, host, port, ca, http2 }: Address) {
    this.url = url
    this.host = host
    this.port = port
    this.ca = ca
    this.#client = new Client({ url: boundUrl, publicUrl: url, http2, ca })
  }

  // Bound, so that it can be taken out of the handle: `const { fetch } = server`.
  readonly fetch: LiveServer['fetch'] = (path, init) => this.#client.fetch(path, init)

  async close(): Promise<void> {
    await this.#client.letGo()
  }
}
