import cluster from 'node:cluster'
import { writeSync } from 'node:fs'
import net from 'node:net'
import { performance } from 'node:perf_hooks'
import type { OwnClient } from '../client.ts'
import { Connections } from '../connections/connections.ts'
import { settlesWithin } from '../deadline.ts'
import { PortzeroError } from '../errors.ts'
import { asBlocker, reportOf, urlOf } from '../life.ts'
import { onAnyPort, passOn, portOf } from '../loading/listen-arguments.ts'
import type { Order, Report } from '../messages/channel.ts'
import { channelOver } from '../messages/lines-channel.ts'
import { toWire } from '../messages/wire-error.ts'
import { TELL, notCaught } from '../processes/handed-over.ts'
import type { HandedOver } from '../processes/handed-over.ts'
import { stopServing } from '../shutdown.ts'
import { isHttp2, isNodeServer, isSecure } from '../target.ts'
import { turns } from '../turns.ts'
import type { Blocker, CloseReport, InFlight, NodeServer } from '../types.ts'
import { claim } from './claim.ts'
import { Governor } from './governed.ts'
import type { Governed } from './governed.ts'
import { InheritedSocket } from './inherited-socket.ts'

type Listen = (this: net.Server, ...args: unknown[]) => net.Server

/**
 * Puts the server of this program that asks for a fixed port on the socket, and lets the owner govern it. That is the first
 * one of all programs that the command starts, and, once it is closed, the next one of this program.
 */
export function catchListen(inherited: HandedOver): void {
  const listen = net.Server.prototype.listen as Listen
  const socket = new InheritedSocket(inherited.socket, net.Server.prototype.listen)
  let governor: Governor | undefined
  const former: Connections[] = []
  const catching: Listen = function (...args) {
    const port = portOf(args)
    const isAsked = port === inherited.port
    if (port === undefined || port === 0) return listen.apply(this, args)
    if (!isNodeServer(this)) {
      return isAsked ? look(this, listen, args, inherited) : listen.apply(this, args)
    }
    if (inherited.isTold && !isAsked) return listen.apply(this, args)
    if (cluster.isWorker) {
      refuse(inherited, 'in a worker of a cluster')
      return listen.apply(this, args)
    }
    const isFree = governor === undefined ? claim(inherited.inode) : socket.isFree
    if (!isFree) {
      console.warn(
        `portzero: Another server of this command has the socket; this one listens on port ${port} itself. If it is the one that is meant, say ${TELL}.`,
      )
      return listen.apply(this, args)
    }
    passOn(this, args)
    governor ??= governorOn(inherited)
    govern(this, governor, socket, former)
    socket.put(this)
    return this
  }
  net.Server.prototype.listen = catching as typeof net.Server.prototype.listen
}

/** Says, where the owner reads it, that the server of this program is not on the socket. There is no line to the owner. */
export function reportListen(): void {
  const listen = net.Server.prototype.listen as Listen
  const reporting: Listen = function (...args) {
    const port = portOf(args)
    if (port !== undefined && port !== 0 && isNodeServer(this)) {
      console.warn(notCaught('what has started it keeps it to itself, as `node --watch` does'))
    }
    return listen.apply(this, args)
  }
  net.Server.prototype.listen = reporting as typeof net.Server.prototype.listen
}

/** Whoever looks whether the port is free is to find that it is. */
function look(
  server: net.Server,
  listen: Listen,
  args: unknown[],
  inherited: HandedOver,
): net.Server {
  server.once('listening', () => {
    void turns(3).then(() => server.listening && refuse(inherited, 'by a server of node:net'))
  })
  server.address = () => {
    const address = net.Server.prototype.address.call(server)
    return address === null ? null : { ...(address as net.AddressInfo), port: inherited.port }
  }
  return listen.apply(server, onAnyPort(args))
}

/** Tells the owner, on the line that only the program reads that governs a server. */
function refuse({ channel }: HandedOver, how: string): void {
  const error = toWire(new PortzeroError('START_FAILED', notCaught(`it listens ${how}`)))
  writeSync(channel, `${JSON.stringify({ type: 'failed', error } satisfies Report)}\n`)
}

function governorOn({ channel }: HandedOver): Governor {
  const stream = new net.Socket({ fd: channel, readable: true, writable: true })
  // The program ends when it wants to.
  stream.unref()
  return new Governor(channelOver<Report, Order>(stream), {
    // A program has its own way to end, which is asked for by a signal.
    exit: () => {},
  })
}

/** `former` are the connections of the servers that this one follows; its own become one of them. */
function govern(
  server: NodeServer,
  governor: Governor,
  socket: InheritedSocket,
  former: Connections[],
): void {
  const before = former.filter(({ isEmpty }) => !isEmpty)
  const connections = new Connections(governor.changed)
  connections.watch(server)
  former.splice(0, Infinity, ...before, connections)
  server.once('listening', () => {
    const { port, address } = server.address() as net.AddressInfo
    const url = urlOf(isSecure(server), address, port)
    governor.started(new Program(server, connections, socket, before), {
      port,
      url,
      http2: isHttp2(server),
      ca: undefined,
    })
  })
}

/** A server of a program that knows nothing of us. */
class Program implements Governed {
  readonly #connections: Connections
  readonly #socket: InheritedSocket
  /** Of servers that the program has closed, and that answer what they were asked before. */
  readonly #former: readonly Connections[]
  #isDown = false

  constructor(
    server: NodeServer,
    connections: Connections,
    socket: InheritedSocket,
    former: readonly Connections[],
  ) {
    this.#connections = connections
    this.#socket = socket
    this.#former = former
    server.prependListener('connection', (connection: net.Socket) => {
      if (this.#isDown) connection.resetAndDestroy()
    })
  }

  set test(title: string | undefined) {
    this.#connections.test = title
  }

  inFlight(): InFlight[] {
    return this.#all
      .flatMap((connections) => connections.inFlight())
      .toSorted((a, b) => b.ageMs - a.ageMs)
  }

  async idle(): Promise<void> {
    await Promise.all(this.#all.map((connections) => connections.idle()))
  }

  cut(): void {
    for (const connections of this.#all) connections.reset()
  }

  /** It is left to the program to close its server, by its own way to end: that may fail if somebody has. */
  end(grace: number, client: OwnClient): Promise<CloseReport> {
    this.#socket.end()
    return this.pause(grace, client)
  }

  /** The socket stays open: a shell on the way to this program holds it too, and nobody could take it anew. */
  async pause(grace: number, client: OwnClient): Promise<CloseReport> {
    const startedAt = performance.now()
    const connections = this.#connections
    const close = (): void => void (this.#isDown = true)
    const blockers = await Promise.all([
      stopServing({ socket: { close }, connections, client }, grace),
      ...this.#former.map((one) => finish(one, grace)),
    ])
    return reportOf(blockers.flat(), startedAt)
  }

  async resume(): Promise<void> {
    this.#isDown = false
  }

  get #all(): readonly Connections[] {
    return [...this.#former, this.#connections]
  }
}

/** Lets requests finish that a closed server was asked, and resets what is left. Returns what was cut off. */
async function finish(connections: Connections, grace: number): Promise<Blocker[]> {
  if (await settlesWithin(connections.idle(), grace)) return []
  const cut = connections.inFlight().map(asBlocker)
  connections.reset()
  return cut
}
