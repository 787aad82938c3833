import type { JSONReport, JSONReportSuite } from '@playwright/test/reporter'
import { stripVTControlCharacters } from 'node:util'
import { launchOptions } from '../../scripts/browser.js'
import { runProject } from '../run-project.ts'

/** One test of a project, as it was run. */
export interface TestRecord {
  readonly title: string
  readonly projectName: string
  readonly status: string
  readonly workerIndex: number
  readonly parallelIndex: number
  /** Milliseconds. */
  readonly duration: number
  /** Messages of its errors, without colours. */
  readonly errors: readonly string[]
  /** What the test noted: the descriptions of its annotations by their type. */
  readonly notes: Readonly<Record<string, string>>
  /** Text that is attached to it, by its name. */
  readonly attachments: Readonly<Record<string, string>>
}

export interface PlaywrightRun {
  readonly exitCode: number | null
  readonly output: string
  readonly passed: number
  readonly failed: number
  /** Errors of the run that belong to no test. */
  readonly errors: readonly string[]
  readonly tests: readonly TestRecord[]
}

interface RunOptions {
  /** Which of the project's files to run. */
  readonly files?: readonly string[]
  /** What else is on the command line. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly type?: 'module' | 'commonjs'
  /** Whether its tests open pages. */
  readonly browser?: boolean
  /** Folders of `fixtures/apps` that are copied into it. */
  readonly apps?: readonly string[]
}

/** Runs a project of `fixtures/projects` with Playwright. */
export async function runPlaywright(
  project: string,
  { files = [], args = [], env = {}, type = 'module', browser = false, apps = [] }: RunOptions = {},
): Promise<PlaywrightRun> {
  const run = await runProject(project, (reportFile) => ({
    program: '@playwright/test/cli',
    args: ['test', ...files, ...args, '--reporter=line,json'],
    env: {
      PLAYWRIGHT_JSON_OUTPUT_FILE: reportFile,
      ...(browser && { LAUNCH_OPTIONS: JSON.stringify(launchOptions()) }),
      ...env,
    },
    type,
    apps,
  }))
  const { exitCode, output } = run
  const report = run.report as JSONReport | undefined
  if (report === undefined) throw new Error(`Playwright wrote no report. It printed:\n${output}`)
  return {
    exitCode,
    output,
    passed: report.stats.expected,
    failed: report.stats.unexpected,
    errors: messagesOf(report.errors),
    tests: report.suites.flatMap(recordsOf),
  }
}

function recordsOf({ specs, suites = [] }: JSONReportSuite): TestRecord[] {
  const own = specs.flatMap(({ title, tests }) =>
    tests.flatMap(({ projectName, results }) =>
      results.map(
        ({
          status = 'none',
          workerIndex,
          parallelIndex,
          duration,
          errors,
          annotations,
          attachments,
        }) => ({
          title,
          projectName,
          status,
          workerIndex,
          parallelIndex,
          duration,
          errors: messagesOf(errors),
          notes: Object.fromEntries(
            annotations.map(({ type, description = '' }) => [type, description]),
          ),
          attachments: Object.fromEntries(
            attachments.flatMap(({ name, body }) =>
              body === undefined ? [] : [[name, Buffer.from(body, 'base64').toString()]],
            ),
          ),
        }),
      ),
    ),
  )
  return [...own, ...suites.flatMap(recordsOf)]
}

function messagesOf(errors: readonly { readonly message?: string }[]): string[] {
  return errors.map(({ message = '' }) => stripVTControlCharacters(message))
}
