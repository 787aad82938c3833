import { ChildProcess } from 'node:child_process'
import { REGISTER } from '../files.ts'
import { inodeOf } from './inode.ts'

/** What a program inherits from its owner: descriptors, which are not the same in every process on the way to it. */
export interface HandedOver {
  readonly socket: number
  readonly channel: number
  /** Of the socket, by which it is known. */
  readonly inode: number
  readonly port: number
  /** The program was told the port: a server that asks for another one is not meant. */
  readonly isTold: boolean
}

/** The variable that says so: numbers, in the order of {@link HandedOver}. */
const VARIABLE = 'PORTZERO_HANDED_OVER'

/** The descriptors of a program that is started by its owner itself. As 0, 1 or 2 a socket would be made to block. */
export const FIRST: Pick<HandedOver, 'socket' | 'channel'> = { socket: 3, channel: 4 }

/** Begins what is said of a program that listens in a way that is not caught. */
export const NOT_CAUGHT = 'The program cannot be put on the socket that is made for it:'

/** Says why, and what to do. */
export function notCaught(why: string): string {
  return `${NOT_CAUGHT} ${why}. Say ${TELL}.`
}

/** What decides which server of a command is meant, and reaches those that cannot be caught. */
export const TELL = "where it is told its port, such as { command, env: { PORT: '{port}' } }"

/** The option that has a Node program load what catches its `listen()`, as it stands in NODE_OPTIONS. */
const PRELOAD = `--require=${JSON.stringify(REGISTER)}`

/** The environment of a program that inherits a socket and a channel, as {@link FIRST} says. */
export function announce(
  socket: Pick<HandedOver, 'inode' | 'port' | 'isTold'>,
  nodeOptions: string | undefined,
): Record<string, string> {
  return {
    [VARIABLE]: asText({ ...FIRST, ...socket }),
    NODE_OPTIONS: withPreload(nodeOptions),
  }
}

function withPreload(nodeOptions = ''): string {
  return nodeOptions.includes(PRELOAD) ? nodeOptions : `${nodeOptions} ${PRELOAD}`.trim()
}

/** What this process has inherited. What lies between it and its owner may have closed the descriptors. */
export function handedOver(): HandedOver | undefined {
  const numbers = (process.env[VARIABLE] ?? '').split(',').map(Number)
  const [socket = -1, channel = -1, inode = -1, port = 0, isTold = 0] = numbers
  const inherited = { socket, channel, inode, port, isTold: isTold === 1 }
  return isOpen(inherited) ? inherited : undefined
}

/** The environment for a process that has nothing to do with what this one has inherited. */
export function withoutHandedOver(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { [VARIABLE]: _handedOver, ...others } = env
  return others
}

/** True if what has started this process was to hand something on, and did not. */
export function isLost(): boolean {
  return VARIABLE in process.env && handedOver() === undefined
}

function asText({ socket, channel, inode, port, isTold }: HandedOver): string {
  return [socket, channel, inode, port, Number(isTold)].join()
}

function isOpen({ socket, channel, inode }: HandedOver): boolean {
  return inodeOf(socket) === inode && inodeOf(channel) !== undefined
}

interface SpawnOptions {
  stdio?: unknown
  envPairs?: string[]
}

/** Lets the programs that this one starts inherit it too: npm, and much else that starts servers, is a Node program itself. */
export function handOn(inherited: HandedOver): void {
  const prototype = ChildProcess.prototype as unknown as { spawn(options: SpawnOptions): unknown }
  const spawn = prototype.spawn
  prototype.spawn = function (options) {
    const { stdio = 'pipe', envPairs = [] } = options
    const index = envPairs.findIndex((pair) => pair.startsWith(`${VARIABLE}=`))
    // A server that was closed has closed the socket.
    if (index === -1 || !isOpen(inherited)) return spawn.call(this, options)
    const given: unknown[] = Array.isArray(stdio)
      ? [...(stdio as unknown[])]
      : [stdio, stdio, stdio]
    while (given.length < FIRST.socket) given.push('pipe')
    const { socket, channel } = inherited
    const there = { ...inherited, socket: given.length, channel: given.length + 1 }
    // cross-env, and others that set options for Node, take ours away.
    const isOptions = (pair: string): boolean => pair.startsWith('NODE_OPTIONS=')
    const nodeOptions = envPairs.find(isOptions)?.slice('NODE_OPTIONS='.length)
    return spawn.call(this, {
      ...options,
      stdio: [...given, socket, channel],
      envPairs: [
        ...envPairs.with(index, `${VARIABLE}=${asText(there)}`).filter((pair) => !isOptions(pair)),
        `NODE_OPTIONS=${withPreload(nodeOptions)}`,
      ],
    })
  }
}
