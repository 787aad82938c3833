import { expect, test } from 'vitest'
import { watchVitest } from './watching.ts'

const says = (greeting: string) => (): string => `export const greeting = '${greeting}'\n`

test('a server is kept from run to run, and loaded anew when a file that it imports changed', async () => {
  await using watching = await watchVitest('vitest-plugin-watch')
  const first = asked(await watching.settled())
  expect(first.answer).toBe('hello, loaded')

  await watching.edit('one.test.js', (text) => `${text}\n// changed`)
  expect(asked(await watching.settled())).toEqual(first)

  await watching.edit('src/greeting.js', says('good day'))
  const output = await watching.settled()
  const second = asked(output)
  expect(output).toMatch(
    /portzero: server \S+ was loaded anew in \d+ ms: src\/greeting.js changed\./,
  )
  expect(second).toMatchObject({ url: first.url, answer: 'good day, loaded' })
  expect(second.pid).not.toBe(first.pid)

  // What it imported late, and through CommonJS, counts as well.
  await watching.edit('src/late.cjs', (text) => text.replace('loaded', 'again'))
  expect(asked(await watching.settled())).toMatchObject({
    url: first.url,
    answer: 'good day, again',
  })
})

test('a server that cannot be loaded anew fails the run, and the next edit mends it', async () => {
  await using watching = await watchVitest('vitest-plugin-watch')
  const first = asked(await watching.settled())

  await watching.edit('src/greeting.js', () => 'export const greeting =')
  const broken = await watching.settled()
  expect(broken).toContain('server could not be started; the next edit starts it again')
  expect(broken).toMatch(/Caused by: SyntaxError/)
  expect(broken).toContain('1 failed')
  expect(broken).toContain('Unhandled Error')

  await watching.edit('src/greeting.js', () => `export { greeting } from './other.js'\n`)
  expect(await watching.settled()).toContain('1 failed')

  await watching.edit('src/other.js', says('there'))
  expect(asked(await watching.settled())).toMatchObject({ url: first.url, answer: 'there, loaded' })
})

test('a server that cannot start at first is started by the next edit', async () => {
  await using watching = await watchVitest('vitest-plugin-watch', ['--config=broken.config.js'])
  expect(await watching.settled()).toContain('1 failed')

  await watching.edit('src/broken.js', () => `import './server.js'\n`)

  expect(asked(await watching.settled())).toMatchObject({ answer: 'hello, loaded' })
})

test('a server that has died is started again for the next run', async () => {
  await using watching = await watchVitest('vitest-plugin-watch')
  const first = asked(await watching.settled())
  await fetch(`${first.url}/die`).catch(() => {})

  await watching.edit('one.test.js', (text) => `${text}\n// changed`)
  const output = await watching.settled()

  expect(output).toContain('it had died')
  expect(asked(output)).toMatchObject({ url: first.url, answer: 'hello, loaded' })
})

test.for(['SIGTERM', 'SIGKILL'] as const)('nothing is left after %s', async (signal) => {
  await using watching = await watchVitest('vitest-plugin-watch')
  const { pid, url } = asked(await watching.settled())

  await watching.end(signal)

  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  await expect(fetch(url)).rejects.toThrow('fetch failed')
})

test('an app in a thread is loaded anew too', async () => {
  await using watching = await watchVitest('vitest-plugin-watch', ['--config=thread.config.js'])
  const first = asked(await watching.settled())

  await watching.edit('src/late.cjs', (text) => text.replace('loaded', 'again'))

  expect(asked(await watching.settled())).toEqual({ ...first, answer: 'hello, again' })
})

test('tests trust a server that was loaded anew, and know what it speaks', async () => {
  await using watching = await watchVitest('vitest-plugin-watch', ['--config=https.config.js'])
  const { url } = asked(await watching.settled())
  expect(url).toMatch(/^https:/)

  await watching.edit('src/greeting.js', says('good day'))
  expect(asked(await watching.settled())).toMatchObject({ url, answer: 'good day, loaded' })

  await watching.edit('src/server.js', (text) => text.replace("'node:http'", "'node:http2'"))
  expect(asked(await watching.settled())).toMatchObject({ url, answer: 'good day, loaded' })
})

interface Asked {
  readonly url: string
  readonly pid: number
  readonly answer: string
}

/** What the test of the project was answered, and by whom. */
function asked(output: string): Asked {
  const found = /asked (\S+), process (\d+): (.*)/.exec(output)
  expect(found, 'the test has printed what it was answered').not.toBeNull()
  const [, url = '', pid = '', answer = ''] = found!
  return { url, pid: Number(pid), answer }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
