import net from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { publicUrlOf } from '../advertise.ts'
import { never } from '../deadline.ts'
import { PortzeroError, messageOf } from '../errors.ts'
import { reachable, urlOf } from '../life.ts'
import type { Channel, Order, Report } from '../messages/channel.ts'
import { channelOver } from '../messages/lines-channel.ts'
import { placeOf } from '../options.ts'
import type { Settings } from '../options.ts'
import {
  fillIn,
  pathWithBins,
  placeholdersIn,
  runsNode,
  toProcess,
} from '../processes/command-line.ts'
import type { Command, Process } from '../processes/command-line.ts'
import { FIRST, NOT_CAUGHT, announce } from '../processes/handed-over.ts'
import { inodeOf } from '../processes/inode.ts'
import { lineToProgram } from '../processes/line-to-program.ts'
import { OwnedProcess } from '../processes/owned-process.ts'
import { pidsListeningOn } from '../processes/port-owner.ts'
import { reservePort } from '../processes/port-reservation.ts'
import { bindFor } from '../start.ts'
import type { Start } from '../start.ts'
import { turns } from '../turns.ts'
import type { CommandTarget } from '../types.ts'
import { RemoteLife, ownedHost } from './remote.ts'
import type { Host } from './remote.ts'

/** So often another port is tried when somebody else was quicker. */
const TRIES = 5

/** How long to wait before a port on which nobody listens is tried again, in ms. */
const AGAIN = 15

/** A command that is ready to be run, but for its address. */
interface Plan {
  readonly command: Command
  readonly cwd: string
  /** Variables that are added; placeholders are filled in. */
  readonly added: Readonly<Record<string, string>>
  readonly env: NodeJS.ProcessEnv
  /** The placeholders that it has. */
  readonly names: ReturnType<typeof placeholdersIn>
  readonly isNode: boolean
  readonly stopSignal: NodeJS.Signals
}

/**
 * Runs a command as a server. It inherits the socket: a Node program as the one that its own `listen()` is put on, any other as
 * `{fd}`, or as systemd hands sockets over. What can only be told a `{port}` binds that itself, in a port that is reserved for it.
 */
export async function beginCommand(
  target: CommandTarget,
  settings: Settings,
  port: number,
  start: Start = {},
): Promise<RemoteLife> {
  const plan = planOf(target, settings)
  const { names } = plan
  const wantsPort = names.has('port') || names.has('url')
  const inherits = names.has('fd') || plan.isNode || !wantsPort
  if (!inherits || process.platform === 'win32') return beginOnPort(plan, settings, port, start)
  try {
    return await beginOnSocket(plan, settings, port, wantsPort, start)
  } catch (error) {
    // It looked like a Node program, and is one that binds its port itself.
    if (!wantsPort || names.has('fd') || !(isInUse(error) || isNotCaught(error))) throw error
    return beginOnPort(plan, settings, port, start)
  }
}

function planOf(target: CommandTarget, settings: Settings): Plan {
  const { command, cwd = process.cwd(), stopSignal = 'SIGTERM' } = target
  const added = { ...placeOf(settings), ...settings.env, ...target.env }
  const names = placeholdersIn(command, added)
  const PATH = pathWithBins(cwd, added['PATH'] ?? process.env['PATH'])
  return {
    command,
    cwd,
    added,
    env: { ...process.env, PATH },
    names,
    // One that asks for the descriptor listens on it by itself.
    isNode: runsNode(command, cwd, PATH) && !names.has('fd'),
    stopSignal,
  }
}

async function beginOnSocket(
  plan: Plan,
  settings: Settings,
  port: number,
  isTold: boolean,
  start: Start,
): Promise<RemoteLife> {
  const { host } = settings
  const socket = await bindFor(start, { host, port })
  const address = {
    host,
    port: socket.port,
    url: publicUrlOf(urlOf(false, host, socket.port), settings.advertise),
    fd: FIRST.socket,
  }
  // Before another turn of the event loop, in which this process would accept connections.
  const nodeOptions = plan.added['NODE_OPTIONS'] ?? process.env['NODE_OPTIONS']
  const inode = inodeOf(socket.fd) ?? -1
  const announced = announce({ inode, port: socket.port, isTold }, nodeOptions)
  const spawning = spawn(plan, address, announced, [socket.fd, 'pipe'])
  socket.close()
  const owned = await spawning
  const line = channelOver<Order, Report>(owned.child.stdio[FIRST.channel] as Duplex)
  const channel = lineToProgram(line, inode, owned.exited)
  // A Node program says itself when it listens. What is asked of another waits in the queue until that takes it.
  const listening = plan.isNode ? saysThatItCannot(owned) : answers(address.port, host, owned)
  const asked = { ...settings, port: address.port }
  return RemoteLife.begin(hostOf(owned, plan, channel, listening), asked, start)
}

async function beginOnPort(
  plan: Plan,
  settings: Settings,
  fixed: number,
  start: Start,
): Promise<RemoteLife> {
  const { host } = settings
  for (let tries = 1; ; tries += 1) {
    const reservation = fixed === 0 ? await reservePort(host) : undefined
    const port = reservation?.port ?? fixed
    const release = (): void => reservation?.release()
    const url = publicUrlOf(urlOf(false, host, port), settings.advertise)
    let owned: OwnedProcess
    try {
      await start.meet?.()
      owned = await spawn(plan, { host, port, url }, {}, [])
    } catch (error) {
      release()
      throw error
    }
    void owned.exited.then(release)
    const taken = new Taken()
    const listening = listensOn(port, host, owned, taken)
    try {
      return await RemoteLife.begin(
        hostOf(owned, plan, undefined, listening),
        { ...settings, port },
        start,
      )
    } catch (error) {
      if (error !== taken && !isInUse(error)) throw error
      if (fixed !== 0 || tries === TRIES) throw inUse(port, host, error)
    }
  }
}

/** True of the error of a program that could not bind its port. */
function isInUse(error: unknown): boolean {
  return (
    error instanceof PortzeroError &&
    error.code === 'START_FAILED' &&
    /EADDRINUSE|address already in use/i.test(error.message)
  )
}

function isNotCaught(error: unknown): boolean {
  return error instanceof PortzeroError && error.message.includes(NOT_CAUGHT)
}

/** Says that somebody else listens where our program should. */
class Taken extends Error {}

function inUse(port: number, host: string, cause: unknown): PortzeroError {
  return new PortzeroError(
    'PORT_IN_USE',
    `Port ${port} on ${host} is in use by another program. Leave out the option 'port' to get a free one, or stop that program.`,
    cause instanceof Taken ? {} : { cause },
  )
}

async function spawn(
  plan: Plan,
  address: Parameters<typeof fillIn>[1],
  added: Readonly<Record<string, string>>,
  descriptors: (number | 'pipe')[],
): Promise<OwnedProcess> {
  const fill = (text: string): string => fillIn(text, address)
  const command = typeof plan.command === 'string' ? fill(plan.command) : plan.command.map(fill)
  const values = Object.entries(plan.added).map(([name, value]) => [name, fill(value)])
  const env: NodeJS.ProcessEnv = {
    ...plan.env,
    HOST: address.host,
    PORT: String(address.port),
    ...(Object.fromEntries(values) as Record<string, string>),
    PATH: plan.env['PATH'],
    ...added,
  }
  try {
    const program = toProcess(command)
    const isHandedOver = descriptors.length > 0 && !plan.isNode
    const told = isHandedOver ? toldAsBySystemd(program) : program
    return await OwnedProcess.spawn({ ...told, cwd: plan.cwd, env, descriptors })
  } catch (cause) {
    throw new PortzeroError(
      'START_FAILED',
      `The command cannot be run: ${messageOf(cause)}. Is it installed, and is its working directory ${plan.cwd} right?`,
      { cause },
    )
  }
}

/** Rejects when a program that has not inherited the line says that it has not inherited the socket either. */
function saysThatItCannot({ output }: OwnedProcess): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = output.onLine((line) => {
      const [said] = new RegExp(`${NOT_CAUGHT}.*`).exec(line) ?? []
      if (said === undefined) return
      stop()
      reject(new PortzeroError('START_FAILED', said))
    })
  })
}

/** Some programs know how systemd hands sockets over: from descriptor 3 on, to the process of this number. */
function toldAsBySystemd({ file, args }: Process): Process {
  const line = 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
  return { file: '/bin/sh', args: ['-c', line, 'sh', file, ...args] }
}

/** Resolves when something answers a request that waits in the socket's queue until then. */
async function answers(port: number, host: string, owned: OwnedProcess): Promise<void> {
  while (owned.exit === undefined && !(await isAnswered(port, host))) await delay(AGAIN)
  // What governs a Node program has told of itself before.
  await turns(3)
}

function isAnswered(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, reachable(host)).unref()
    socket.write('OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    socket.once('data', () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('error', () => {})
    socket.once('close', () => resolve(false))
  })
}

/** Resolves when this process, or one that it has started, listens on the port. Throws `taken` if another does. */
async function listensOn(
  port: number,
  host: string,
  owned: OwnedProcess,
  taken: Taken,
): Promise<void> {
  while (owned.exit === undefined && !(await accepts(port, host))) await delay(AGAIN)
  if (owned.exit !== undefined) return never()
  const pids = await pidsListeningOn(port, owned.pids())
  if (pids?.length === 0) throw taken
}

function accepts(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, reachable(host)).unref()
    socket.once('connect', () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('error', () => resolve(false))
  })
}

function hostOf(
  owned: OwnedProcess,
  { stopSignal }: Plan,
  channel: Channel<Order, Report> | undefined,
  listening: Promise<void>,
): Host {
  return {
    ...ownedHost(owned),
    channel,
    listening,
    stop: async (grace) => ({
      isKilled: (await owned.stop({ signal: stopSignal, grace })) === 'killed',
    }),
  }
}
