import { cp, mkdir, readFile, readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { JSONReport } from '@playwright/test/reporter'
import { expect, onTestFinished, test } from 'vitest'
import { openMeeting } from './meeting.ts'
import { copyProject, runNode } from './run-project.ts'

const SHARDS = [1, 2, 3, 4]
const playwright = createRequire(import.meta.url).resolve('@playwright/test/cli')
const vitest = join(import.meta.dirname, '../node_modules/vitest/vitest.mjs')

async function project(name: string): Promise<string> {
  const { folder, remove } = await copyProject(name)
  onTestFinished(remove)
  return folder
}

test('four shards of Playwright at once have servers of their own, and one report', async () => {
  await using meeting = await openMeeting(SHARDS.length)
  const cwd = await project('playwright-sharded')

  const runs = await Promise.all(
    SHARDS.map((shard) =>
      runNode(
        [playwright, 'test', `--shard=${shard}/4`, '--reporter=blob', `--output=results-${shard}`],
        cwd,
        { MEETING_URL: meeting.url, PLAYWRIGHT_BLOB_OUTPUT_DIR: `blob-${shard}` },
      ),
    ),
  )

  expect(runs.map(({ exitCode }) => exitCode).toSorted((a, b) => Number(a) - Number(b))).toEqual([
    0, 0, 0, 1,
  ])
  await mkdir(join(cwd, 'blobs'))
  for (const shard of SHARDS) {
    for (const file of await readdir(join(cwd, `blob-${shard}`))) {
      await cp(join(cwd, `blob-${shard}`, file), join(cwd, 'blobs', `${shard}-${file}`))
    }
  }
  const merged = await runNode([playwright, 'merge-reports', '--reporter=json', 'blobs'], cwd, {
    PLAYWRIGHT_JSON_OUTPUT_FILE: 'report.json',
  })
  expect(merged.exitCode).toBe(0)
  const report = JSON.parse(await readFile(join(cwd, 'report.json'), 'utf8')) as JSONReport
  expect(report.stats).toMatchObject({ expected: 7, unexpected: 1, flaky: 0, skipped: 0 })
  const urls = JSON.stringify(report).match(/http:\/\/127\.0\.0\.1:\d+(?=")/g)
  // The one that failed has ended its worker, and the server with it.
  expect(new Set(urls).size).toBeGreaterThanOrEqual(4)
})

test('four shards of Vitest at once have servers of their own, and one report', async () => {
  await using meeting = await openMeeting(SHARDS.length)
  const cwd = await project('vitest-sharded')

  const runs = await Promise.all(
    SHARDS.map((shard) =>
      runNode(
        [
          vitest,
          'run',
          `--shard=${shard}/4`,
          '--reporter=blob',
          '--reporter=default',
          `--outputFile.blob=blobs/${shard}.json`,
        ],
        cwd,
        { MEETING_URL: meeting.url },
      ),
    ),
  )

  expect(runs.map(({ exitCode }) => exitCode).toSorted((a, b) => Number(a) - Number(b))).toEqual([
    0, 0, 0, 1,
  ])
  const urls = runs.flatMap(({ output }) => output.match(/served at \S+/g) ?? [])
  expect(new Set(urls).size).toBe(4)
  const merged = await runNode(
    [vitest, 'run', '--merge-reports=blobs', '--reporter=json', '--outputFile.json=report.json'],
    cwd,
  )
  expect(merged.exitCode).toBe(1)
  expect(JSON.parse(await readFile(join(cwd, 'report.json'), 'utf8'))).toMatchObject({
    numTotalTests: 8,
    numPassedTests: 7,
    numFailedTests: 1,
  })
})
