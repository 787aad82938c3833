import { join } from 'node:path'
import { runProject } from '../run-project.ts'

/** One test of a project, as it was run. */
interface TestRecord {
  readonly title: string
  readonly status: string
  /** Messages of its errors. */
  readonly errors: readonly string[]
}

/** What the log says of one server. */
interface ServerRecord {
  readonly name: string
  readonly url: string
  readonly slot: number
  readonly worker: string
  /** How it was closed; `undefined` if it was not. */
  readonly closed?: string | undefined
}

interface VitestRun {
  readonly exitCode: number | null
  readonly output: string
  readonly passed: number
  readonly failed: number
  readonly tests: readonly TestRecord[]
  /** All servers that were started. */
  readonly servers: readonly ServerRecord[]
}

interface RunOptions {
  /** @default 'run' */
  readonly command?: 'run' | 'list'
  /** Which of the project's files to run. */
  readonly files?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Folders of `fixtures/apps` that are copied into it. */
  readonly apps?: readonly string[]
}

/** What is used of the report that Vitest's reporter `json` writes. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly assertionResults: readonly {
      readonly title: string
      readonly status: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

const program = join(import.meta.dirname, '../../node_modules/vitest/vitest.mjs')

/** Runs a project of `fixtures/projects` with Vitest. */
export async function runVitest(
  project: string,
  { command = 'run', files = [], args = [], env = {}, apps = [] }: RunOptions = {},
): Promise<VitestRun> {
  const run = await runProject(project, (reportFile) => ({
    program,
    args: [
      command,
      ...files,
      '--reporter=default',
      '--reporter=json',
      `--outputFile=${reportFile}`,
      ...args,
    ],
    env: { PORTZERO_LOG: '1', ...env },
    apps,
  }))
  const { exitCode, output } = run
  const report = run.report as Report | undefined
  return {
    exitCode,
    output,
    passed: report?.numPassedTests ?? 0,
    failed: report?.numFailedTests ?? 0,
    tests: (report?.testResults ?? []).flatMap(({ assertionResults }) =>
      assertionResults.map(({ title, status, failureMessages }) => ({
        title,
        status,
        errors: failureMessages,
      })),
    ),
    servers: serversIn(output),
  }
}

function serversIn(output: string): ServerRecord[] {
  const lines = output.matchAll(
    /^portzero: slot (\d+), worker (\S+): (\S+) (\S+) (started|closed (\w+))/gm,
  )
  const servers = new Map<string, ServerRecord>()
  for (const [, slot, worker = '', name = '', url = '', , closed] of lines) {
    servers.set(url, { name, url, slot: Number(slot), worker, closed })
  }
  return [...servers.values()]
}
