import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openMeeting } from './meeting.ts'
import { carriersOf, within } from './orphans/processes.ts'

/** How long what is shared may outlive its run, in ms. */
const LIMIT = 15_000

/** A place where what is shared is noted, and the starts of servers. Whoever makes it removes it. */
export class ScopesFolder implements AsyncDisposable {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  static async make(): Promise<ScopesFolder> {
    return new ScopesFolder(await mkdtemp(join(tmpdir(), 'portzero-scopes-')))
  }

  get env(): { PORTZERO_STATE_DIR: string; STARTS: string } {
    return {
      PORTZERO_STATE_DIR: join(this.#folder, 'state'),
      STARTS: join(this.#folder, 'starts'),
    }
  }

  /** What servers were told when they started, in the order of their places. */
  get starts(): string[] {
    const { STARTS } = this.env
    if (!existsSync(STARTS)) return []
    return readFileSync(STARTS, 'utf8').trim().split('\n').toSorted()
  }

  /** Nothing outlives the run: neither a process nor what is noted of one. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { PORTZERO_STATE_DIR: state } = this.env
    const noted = (): string[] => (existsSync(state) ? readdirSync(state) : [])
    await within(LIMIT, () => carriersOf([state]).length === 0 && noted().length === 0)
    expect({ processes: carriersOf([state]), noted: noted() }).toEqual({ processes: [], noted: [] })
    await rm(this.#folder, { recursive: true })
  }
}

/** Runs some files of the project that a runner has for scopes. */
type Run = (options: {
  readonly files: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}) => Promise<{
  readonly exitCode: number | null
  readonly output: string
  readonly passed: number
  readonly failed: number
  /** Errors that belong to no test, where the runner tells of them. */
  readonly errors?: readonly string[]
  readonly tests: readonly { readonly errors: readonly string[] }[]
}>

interface Runner {
  readonly run: Run
  /** How many workers it may have for 40 tests of which 10 fail. */
  readonly workers: readonly number[]
  /** Arguments, each of which gives it two workers in another way. */
  readonly ways: readonly string[]
}

/** What holds with every runner. */
export function testScopes({ run: runProject, workers, ways }: Runner): void {
  const slots = ['slot 0, worker slot-0', 'slot 1, worker slot-1']
  const whole = ['slot 0, worker run']

  test.for<[string, (starts: string[]) => void]>([
    ['worker', ({ length }) => expect(workers).toContain(length)],
    ['slot', (starts) => expect(starts).toEqual(slots)],
    ['run', (starts) => expect(starts).toEqual(whole)],
  ])('40 tests of which 10 fail, with a server for each %s', async ([scope, check]) => {
    await using folder = await ScopesFolder.make()
    const { errors = [], ...run } = await runProject({
      files: ['suite'],
      env: { ...folder.env, SCOPE: scope },
    })
    expect({ ...run, errors }).toMatchObject({ exitCode: 1, passed: 30, failed: 10, errors: [] })
    check(folder.starts)
  })

  test.for(ways.flatMap((way) => [[way, 'slot'] as const, [way, 'run'] as const]))(
    'workers at the same time, with %s and a server for each %s',
    async ([way, scope]) => {
      await using folder = await ScopesFolder.make()
      await using meeting = await openMeeting(2)
      const run = await runProject({
        files: ['meets'],
        args: [way],
        env: { ...folder.env, SCOPE: scope, MEETING_URL: meeting.url, START_MS: '300' },
      })
      expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
      const servers = new Set(run.output.match(/^server .* answers .*$/gm))
      expect(servers.size).toBe(scope === 'run' ? 1 : 2)
      expect(folder.starts).toEqual(scope === 'run' ? whole : slots)
    },
  )

  test('a start that fails, fails the tests of all workers with its error', async () => {
    await using folder = await ScopesFolder.make()
    const run = await runProject({
      files: ['meets'],
      env: { ...folder.env, SCOPE: 'run', FAILS: '1' },
    })
    expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 2 })
    for (const { errors } of run.tests) {
      expect(errors.join()).toContain('[FACTORY_FAILED]: The factory failed: cannot start')
    }
  })

  describe.for(['slot', 'run'])('the server of a %s', (scope) => {
    test('that a test closes is started anew for the next', async () => {
      await using folder = await ScopesFolder.make()
      const run = await runProject({ files: ['closes'], env: { ...folder.env, SCOPE: scope } })
      expect(run).toMatchObject({ exitCode: 0, passed: 2, failed: 0 })
      expect(folder.starts).toHaveLength(2)
    })

    test('that dies fails its test', async () => {
      await using folder = await ScopesFolder.make()
      const run = await runProject({ files: ['dies'], env: { ...folder.env, SCOPE: scope } })
      expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 2 })
      for (const { errors } of run.tests) {
        expect(errors.join()).toMatch(/\[SERVER_DIED\].* ended with exit code 7/)
      }
      expect(folder.starts).toHaveLength(1)
    })

    test('that dies is brought back where that is wanted', async () => {
      await using folder = await ScopesFolder.make()
      const env = { ...folder.env, SCOPE: scope, RESTART: 'between-tests' }
      const run = await runProject({ files: ['dies'], env })
      expect(run).toMatchObject({ exitCode: 1, passed: 1, failed: 1 })
      expect(folder.starts).toHaveLength(2)
    })

    test('with a request that outlasts its test fails it', async () => {
      await using folder = await ScopesFolder.make()
      const env = { ...folder.env, SCOPE: scope, LINGERING: 'fail' }
      const run = await runProject({ files: ['lingers'], env })
      expect(run).toMatchObject({ exitCode: 1, passed: 0, failed: 1 })
      expect(run.tests[0]?.errors.join()).toMatch(
        /The test "leaves a request running" ended while \S+ was still at work on GET \/slow/,
      )
    })
  })

  test('what cannot be handed over is refused at once', async () => {
    const run = await runProject({ files: ['refused'] })
    expect(run.exitCode).toBe(1)
    expect(run.output).toContain(
      "[INVALID_TARGET]: liveServer() with scope: 'run' takes what another process can start",
    )
  })
}
