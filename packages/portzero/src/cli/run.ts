import { never, settlesWithin } from '../deadline.ts'
import { PortzeroError } from '../errors.ts'
import { pathWithBins } from '../processes/command-line.ts'
import { Together } from '../together.ts'
import { turns } from '../turns.ts'
import type { Exit } from '../types.ts'
import { written } from '../written.ts'
import { Foreground } from './foreground.ts'
import { HELP } from './run-help.ts'
import { readRunOptions, variableOf } from './run-options.ts'
import type { RunOptions } from './run-options.ts'
import { Asked, endBy, hasReachedGroup } from './signals.ts'
import { Teller } from './teller.ts'
import { trustIn } from './trust.ts'
import type { Trust } from './trust.ts'
import { CommandError, cannotRun, toWords } from './words.ts'

/** A command that ends within so many ms of a server's death has ended by itself: it may have stopped the server. On a busy machine its end takes its time. */
const MOMENT = 1_000

/** How long the news of a server's death may come after the end of a command that has failed for it, in ms. */
const NEWS = 250

/** How the command has ended; undefined if it was told to, because a server has died. */
type End = Exit | undefined

type Servers = Together['servers']

/** `portzero run`: starts servers, runs a command, and stops the servers. Resolves to the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const options = readRunOptions(args)
  if (options.isHelp) {
    process.stdout.write(HELP)
    return 0
  }
  const teller = new Teller(options)
  try {
    return await startAndRun(options, teller)
  } catch (error) {
    teller.failed(error)
    return error instanceof CommandError ? error.exitCode : 1
  }
}

async function startAndRun(options: RunOptions, teller: Teller): Promise<number> {
  const PATH = pathWithBins(process.cwd(), process.env['PATH'])
  // Looked for before anything is started for it.
  const words = toWords(options.command, PATH)
  const starting = new AbortController()
  const asked = new Asked(() => starting.abort())
  let together: Together
  try {
    together = await Together.start(options.members, {
      signal: starting.signal,
      told: (urls) => (options.isNamed ? variablesOf(urls) : {}),
      onLine: teller.line,
    })
  } catch (error) {
    if (asked.signal !== undefined) return endBy(asked.signal)
    asked.obey = endAtOnce
    throw error
  }
  teller.ready(together.servers)
  return runAmong(together, { words, PATH, options, asked, teller })
}

/** To a signal that forces, or that comes when all is over, and only somebody has to read it. */
function endAtOnce(signal: NodeJS.Signals): void {
  // What is left is killed by the watchdog.
  process.exit(endBy(signal))
}

interface Means {
  readonly words: readonly string[]
  readonly PATH: string
  readonly options: RunOptions
  readonly asked: Asked
  readonly teller: Teller
}

/** Runs the command, and closes the servers, however that ends. */
async function runAmong(
  together: Together,
  { words, PATH, options, asked, teller }: Means,
): Promise<number> {
  const { servers } = together
  let trust: Trust | undefined
  let end: End
  let times = 0
  let hasFailed = false
  try {
    trust = trustIn(servers.map(({ server }) => server.ca))
    const env = { ...process.env, PATH, ...told(servers, options), ...trust.env }
    end = await runCommand(words, { env, servers, asked, teller })
    times = asked.times
  } finally {
    asked.obey = (signal, time) => {
      if (time > 1) endAtOnce(signal)
    }
    const reports = await together.close(asked.times > 1 ? { grace: 0 } : {})
    trust?.remove()
    hasFailed = reports.some((report) => report instanceof Error)
    teller.closed(servers, reports, end)
    // It may end as its command did, by a signal: not before that is told.
    asked.obey = endAtOnce
    await written()
  }
  if (end === undefined) return 1
  if (asked.signal !== undefined && (times > 1 || asked.times > times)) return endBy(asked.signal)
  if (end.signal !== null) return endBy(end.signal)
  return end.code === 0 && hasFailed ? 1 : (end.code ?? 1)
}

interface Run {
  readonly env: NodeJS.ProcessEnv
  readonly servers: Servers
  readonly asked: Asked
  readonly teller: Teller
}

async function runCommand(words: readonly string[], run_: Run): Promise<End> {
  const { env, servers, asked, teller } = run_
  const command = await spawn(words, env)
  asked.obey = (signal, times) => {
    if (times > 1) void command.kill()
    else if (!hasReachedGroup(signal)) command.signal(signal)
  }
  const dying = deathIn(servers)
  const death = await Promise.race([command.ended.then(() => undefined), dying])
  if (death !== undefined && asked.times === 0 && !(await settlesWithin(command.ended, MOMENT))) {
    teller.failed(death)
    await command.end()
    return undefined
  }
  const exit = await command.ended
  // A key of the terminal ends the command, and is told to this process at once: the news of its end may come first.
  await turns(1)
  if (asked.times === 0) command.release()
  else await command.endRest()
  if (exit.code !== 0) {
    if (await settlesWithin(dying, NEWS)) teller.failed(await dying)
    else teller.commandFailed(servers)
  }
  return exit
}

async function spawn(words: readonly string[], env: NodeJS.ProcessEnv): Promise<Foreground> {
  try {
    return await Foreground.spawn(words, env)
  } catch (error) {
    throw cannotRun(words[0] ?? '', (error as NodeJS.ErrnoException).code)
  }
}

/** Resolves when the first of them dies, to its error. */
function deathIn(servers: Servers): Promise<Error> {
  return Promise.race(
    servers.map(async ({ name, server }) => {
      await server.exited
      if (server.died === undefined) return never()
      const { code, message } = server.died
      return new PortzeroError(code, servers.length === 1 ? message : `${name}: ${message}`)
    }),
  )
}

/** What the command is told. */
function told(servers: Servers, { isNamed }: RunOptions): Record<string, string> {
  const urls = new Map(servers.map(({ name, server }) => [name, server.url]))
  const [first] = servers
  return {
    BASE_URL: first?.server.url ?? '',
    PORT: String(first?.server.port),
    ...(isNamed ? variablesOf(urls) : {}),
  }
}

function variablesOf(urls: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...urls].map(([name, url]) => [variableOf(name), url]))
}
