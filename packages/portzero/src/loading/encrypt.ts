import type { Socket } from 'node:net'
import type { Certificate } from '../certificate/certificate.ts'
import { isHttp2 } from '../target.ts'
import type { NodeServer } from '../types.ts'

type Listener = (this: NodeServer, socket: Socket) => void

/**
 * Makes a server speak TLS on the connections that come in on `port`. It gets them decrypted, as a server of `node:https` does:
 * `request.socket.encrypted` is true, and frameworks say `https`. What listens elsewhere too speaks there as before.
 * Returns what undoes it.
 */
export function encrypt(server: NodeServer, { key, cert }: Certificate, port: number): () => void {
  // Loaded where it is needed: it takes longer to load than all that is ours.
  const tls = process.getBuiltinModule('node:tls')
  const front = tls.createServer({
    key,
    cert,
    ALPNProtocols: [isHttp2(server) ? 'h2' : 'http/1.1'],
  })
  front.on('secureConnection', (socket) => server.emit('secureConnection', socket))
  front.on('tlsClientError', (error, socket) => {
    if (!server.emit('clientError', error, socket)) socket.destroy(error)
  })

  const listeners = server.rawListeners('connection') as Listener[]
  const arrived: Listener = (socket) => {
    if (socket.localPort === port) front.emit('connection', socket)
    else for (const listener of listeners) listener.call(server, socket)
  }
  for (const listener of listeners) {
    server.off('connection', listener).on('secureConnection', listener)
  }
  server.on('connection', arrived)
  return () => {
    server.off('connection', arrived)
    for (const listener of listeners) {
      server.off('secureConnection', listener).on('connection', listener)
    }
  }
}
