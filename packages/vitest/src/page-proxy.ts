import http from 'node:http'
import https from 'node:https'
import type {
  IncomingHttpHeaders,
  IncomingMessage,
  RequestOptions,
  ServerResponse,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream'
import { PortzeroError, serve } from 'portzero'
import type { LiveServer } from 'portzero'

/** What pages of another origin may ask in place of a server. Whoever opened it closes it. */
export interface PageProxy {
  /** On `localhost`, as Vitest's own pages are: so that cookies pass for those of one site. */
  readonly url: string
  close(): Promise<void>
}

/**
 * Opens a server to pages on this machine: hands on what it is asked, WebSockets too, and adds to the answers what makes the browser
 * show them to the page (CORS). Of the server's certificate, if it has one, no browser has to know.
 */
export async function openToPages(target: string): Promise<PageProxy> {
  const { port, servers } = await onLoopback(() => proxyTo(target))
  const close = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.close()))
  }
  return { url: `http://localhost:${port}`, close }
}

/** `localhost` may stand for either address: on both it has to be ours. */
async function onLoopback(
  make: () => http.Server,
): Promise<{ port: number; servers: LiveServer[] }> {
  for (;;) {
    const first = await serve(make())
    const { port } = first
    try {
      return { port, servers: [first, await serve(make(), { host: '::1', port })] }
    } catch (error) {
      const isTaken = error instanceof PortzeroError && error.code === 'PORT_IN_USE'
      // There is no IPv6 here.
      if (!isTaken) return { port, servers: [first] }
      await first.close()
    }
  }
}

function proxyTo(target: string): http.Server {
  const server = http.createServer((request, response) => {
    if (isPreflight(request)) {
      response.writeHead(204, preflightAnswer(request)).end()
    } else handOn(target, request, response)
  })
  return server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgrade(target, request, socket, head)
  })
}

function handOn(target: string, request: IncomingMessage, response: ServerResponse): void {
  const forward = ask(target, request)
  forward.once('response', (answer) => {
    const { statusCode = 502, statusMessage, headers } = answer
    response.writeHead(statusCode, statusMessage, opened(headers, request))
    pipeline(answer, response, () => {})
  })
  forward.once('error', (error) => {
    if (response.headersSent) return void response.destroy()
    response.writeHead(502, opened({}, request)).end(`portzero: ${target}: ${error.message}\n`)
  })
  // A page that is gone waits for no answer.
  response.once('close', () => forward.destroy())
  pipeline(request, forward, () => {})
}

function upgrade(target: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const forward = ask(target, request)
  socket.on('error', () => forward.destroy())
  forward.once('error', () => socket.destroy())
  forward.once('upgrade', (answer, other, otherHead) => {
    socket.write(headOf(answer))
    socket.write(otherHead)
    other.write(head)
    pipeline(other, socket, other, () => {})
  })
  forward.once('response', (answer) => {
    // It was refused. Its body ends with the connection.
    socket.write(headOf(answer, /^(?:connection|transfer-encoding)$/i, 'connection: close'))
    pipeline(answer, socket, () => {})
  })
  forward.end()
}

/** The same request to the server. It keeps its `host`: what the app makes of that is to lead here again. */
function ask(target: string, { method, url, headers }: IncomingMessage): http.ClientRequest {
  const { request } = target.startsWith('https:') ? https : http
  const options: RequestOptions & { rejectUnauthorized: boolean } = {
    method,
    headers,
    agent: false,
    // It is known whose it is: it was started here.
    rejectUnauthorized: false,
  }
  return request(`${target}${url}`, options)
}

function headOf(
  { statusCode, statusMessage, rawHeaders }: IncomingMessage,
  without: RegExp = /^$/,
  ...added: string[]
): string {
  const lines = [`HTTP/1.1 ${statusCode} ${statusMessage}`, ...added]
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!without.test(name)) lines.push(`${name}: ${rawHeaders[index + 1]}`)
  }
  return `${lines.join('\r\n')}\r\n\r\n`
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
}

function preflightAnswer({ headers }: IncomingMessage): http.OutgoingHttpHeaders {
  return {
    ...allowing(headers),
    'access-control-allow-methods': headers['access-control-request-method'],
    'access-control-allow-headers': headers['access-control-request-headers'] ?? '',
    'access-control-allow-private-network': 'true',
  }
}

/** The headers of an answer, and those that show it to the page in place of what the app says of that. */
function opened(
  answer: IncomingHttpHeaders,
  { headers }: IncomingMessage,
): http.OutgoingHttpHeaders {
  const { 'transfer-encoding': _framing, connection: _connection, ...rest } = answer
  return {
    ...rest,
    ...allowing(headers),
    'access-control-expose-headers': Object.keys(rest).join(', '),
    'cross-origin-resource-policy': 'cross-origin',
  }
}

/** Any page on this machine: what is asked from elsewhere, no test has asked. */
function allowing({ origin }: IncomingHttpHeaders): http.OutgoingHttpHeaders {
  if (origin === undefined || !isLocal(origin)) return {}
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    vary: 'origin',
  }
}

function isLocal(origin: string): boolean {
  return /^https?:\/\/(?:localhost|[^/]+\.localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/.test(origin)
}
