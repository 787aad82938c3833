import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { APP, useBackground } from './background.ts'

const PROGRAM = fileURLToPath(new URL('shares-and-exits.js', import.meta.url))

const { files, write } = useBackground()

interface Exit {
  readonly code: number
  readonly stderr: string
  /** What was noted of servers when it had exited. */
  readonly left: readonly string[]
}

/** Has a process share an app that runs this on close, and exit. */
function exit(onClose: string, ...args: string[]): Promise<Exit> {
  const app = write(
    'app.mjs',
    `export default ({ onClose }) => {
      onClose(async () => { ${onClose} })
      return { fetch: () => new Response() }
    }`,
  )
  return run(app, 'ready', ...args)
}

function run(...args: string[]): Promise<Exit> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], (error, _stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stderr, left: files() })
    })
  })
}

const SLOW = 'await new Promise((resolve) => setTimeout(resolve, 200));'

test('what is shared ends before the main process does', async () => {
  expect(await exit(SLOW)).toMatchObject({ code: 0, left: [] })
})

test('what keeps it from ending is named, and so is what was cut off', async () => {
  const app = write(
    'app.mjs',
    `export default ({ url }) => {
      fetch(url + '/never').catch(() => {})
      return { fetch: () => new Promise(() => {}) }
    }`,
  )
  const { code, stderr, left } = await run(app, 'ready')
  expect({ code, left }).toEqual({ code: 0, left: [] })
  const [slow, forced] = stderr.split('\n')
  const server = `portzero: ${app} http://127.0.0.1:`
  expect(slow).toContain(server)
  expect(slow).toMatch(/ is closing, and waits for GET \/never, unanswered for \d+ ms\.$/)
  expect(forced).toContain(server)
  expect(forced).toMatch(/ was closed by force after \d+ ms. In its way: GET \/never, unanswered/)
})

test('a close hook that throws fails the run, and is printed', async () => {
  const { code, stderr, left } = await exit(`${SLOW} throw new Error('still in use')`)
  expect({ code, left }).toEqual({ code: 1, left: [] })
  expect(stderr).toMatch(
    /^portzero: The run fails, .* did not end as it should. PortzeroError \[CLOSE_FAILED\]: .* still in use$/m,
  )
})

test('a run that has failed already keeps its exit code', async () => {
  const { code, stderr } = await exit("throw new Error('still in use')", '130')
  expect(code).toBe(130)
  expect(stderr).toContain('[CLOSE_FAILED]')
})

test('what has died fails no run', async () => {
  expect(await run(write('app.mjs', APP), 'dead')).toEqual({ code: 0, stderr: '', left: [] })
})

test('a start that nobody needs any more is given up', async () => {
  const app = write('never-listens.mjs', 'setInterval(() => {}, 1_000)')
  expect(await run(app, 'starting')).toEqual({ code: 0, stderr: '', left: [] })
})
