import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PROGRAM, portzero, printed, program } from './portzero-command.ts'
import { until } from './processes.ts'
import { temporaryFolder } from './temporary-folder.ts'

const server = program('server.js')
const misbehaving = (name: string): string => program(`../misbehaving/${name}`)
const ask = (variable: string, path: string): string[] => [
  process.execPath,
  '-e',
  `fetch(process.env.${variable} + '${path}').then((r) => r.text()).then(console.log)`,
]

describe('a command among servers', () => {
  test('is told the URL and port, prints on its own streams, and ends with its own code', async () => {
    const line = 'echo "$BASE_URL $PORT"; echo oops >&2; exit 3'
    const end = await portzero(['run', server, '--', 'sh', '-c', line])
    expect(end).toMatchObject({ code: 3, signal: null })
    const [, url, port] = /^(http:\/\/127\.0\.0\.1:(\d+)) \2\n$/.exec(end.stdout) ?? []
    expect(port).toBeDefined()
    expect(end.stderr).toContain(`portzero: server listens at ${url}\n`)
    expect(end.stderr).toMatch(/^oops$/m)
    expect(end.stderr).toMatch(/^\[server\] told undefined undefined/m)
    await expect(fetch(url as string)).rejects.toThrow('fetch failed')
  })

  test.each([
    ['a module', server],
    ['a Node program', `node ${program('listens.js')}`],
    ['a program that takes a port', 'python3 -m http.server {port} --bind {host}'],
  ])('is served %s', async (_what, target) => {
    const end = await portzero(['run', target, '--', ...ask('BASE_URL', '/')])
    expect(end).toMatchObject({ code: 0 })
    expect(end.stdout).not.toBe('')
  })

  test('may be one line for the shell', async () => {
    const end = await portzero(['run', server, '--', 'echo "$BASE_URL" && exit 4'])
    expect(end).toMatchObject({ code: 4 })
    expect(end.stdout).toMatch(/^http:/)
  })

  test('that is ended by a signal ends portzero by the same', async () => {
    const end = await portzero(['run', server, '--', 'sh', '-c', 'kill -TERM $$'])
    expect(end).toMatchObject({ code: null, signal: 'SIGTERM' })
  })

  test('that is ended by a signal takes nothing with it that was printed, and is not read yet', async () => {
    const target = join(await temporaryFolder(), 'prints.mjs')
    const source = `export { default } from ${JSON.stringify(server)}
    for (let count = 1; count <= 20_000; count += 1) console.log(count, 'x'.repeat(200))`
    await writeFile(target, source)
    const command = ['sh', '-c', 'echo "$BASE_URL"; kill -TERM $$']
    const args = ['run', '--json', '--ready', '^20000 ', target, '--', ...command]
    const child = spawn(process.execPath, [PROGRAM, ...args])
    onTestFinished(() => void child.kill('SIGKILL'))
    const ended = once(child, 'exit')
    const [url] = await printed(child.stdout, /^http:.+/)
    const isClosed = (): Promise<boolean> =>
      fetch(url).then(
        () => false,
        () => true,
      )
    await until(isClosed, () => `${url} answers`)
    const lines = (await text(child.stderr)).trim().split('\n')
    expect(lines.filter((line) => line.endsWith('x'))).toHaveLength(20_000)
    expect(JSON.parse(lines.at(-1) as string)).toMatchObject({ portzero: 'ended' })
    expect(await ended).toEqual([null, 'SIGTERM'])
  })

  test('that has crashed gives the code of a shell', async () => {
    const end = await portzero(['run', server, '--', 'sh', '-c', 'kill -KILL $$'])
    expect(end).toMatchObject({ code: 137, signal: null })
  })

  test('that is not there is not waited for', async () => {
    const end = await portzero(['run', server, '--', 'no-such-command', 'x'])
    expect(end).toMatchObject({ code: 127, stdout: '' })
    expect(end.stderr).toBe(
      "portzero: The command 'no-such-command' was not found. Is it installed, and on the PATH?\n",
    )
  })

  test('that may not be run gives 126', async () => {
    const file = join(await temporaryFolder(), 'plain')
    await writeFile(file, 'text')
    const end = await portzero(['run', server, '--', file])
    expect(end).toMatchObject({ code: 126 })
  })

  test('whose interpreter is missing gives 127, and the server is stopped', async () => {
    const file = join(await temporaryFolder(), 'script')
    await writeFile(file, '#!/no/such/interpreter\n')
    await chmod(file, 0o755)
    const end = await portzero(['run', server, '--', file])
    expect(end).toMatchObject({ code: 127 })
  })

  test('trusts the certificate of its server', async () => {
    const end = await portzero(['run', '--https', server, '--', ...ask('BASE_URL', '/')])
    expect(end).toMatchObject({ code: 0, stdout: 'hello\n' })
  })
})

describe('several servers', () => {
  test('know each other, and may ask at once', async () => {
    const end = await portzero([
      'run',
      '--server',
      `api=${server}`,
      '--server',
      `web=${program('asks-at-once.js')}`,
      '--',
      'sh',
      '-c',
      'test "$BASE_URL" = "$API_URL" && node -e "fetch(process.env.WEB_URL).then((r) => r.text()).then(console.log)"',
    ])
    expect(end).toMatchObject({ code: 0, stdout: 'api said hello\n' })
    expect(end.stderr).toContain('[api] asked /from-web\n')
  })

  test('are closed one after another, so that the last may ask those before it to the end', async () => {
    const folder = await temporaryFolder()
    const [web, asked] = [join(folder, 'web.mjs'), join(folder, 'asked')]
    await writeFile(
      web,
      `import { writeFileSync } from 'node:fs'
      import { createServer } from 'node:http'
      import { setTimeout } from 'node:timers/promises'
      createServer(async (request, response) => {
        writeFileSync('${asked}', '')
        await setTimeout(300)
        response.end(await fetch(process.env.API_URL).then((one) => one.text(), String))
      }).listen(3000)`,
    )
    const [node, , script] = ask('WEB_URL', '/')
    const line = `"${node}" -e "${script}" & until test -f "${asked}"; do sleep 0.01; done`
    const servers = [`--server=api=${server}`, `--server=web=${web}`]
    const end = await portzero(['run', ...servers, '--', 'sh', '-c', line])
    expect(end).toMatchObject({ code: 0, stdout: 'hello\n' })
  })

  test('are not left where one of them cannot start', async () => {
    const end = await portzero([
      'run',
      '--server',
      `api=${server}`,
      '--server',
      `web=node ${misbehaving('dies-at-once.js')}`,
      '--',
      'echo',
      'never',
    ])
    expect(end).toMatchObject({ code: 1, stdout: '' })
    expect(end.stderr).toMatch(/^portzero: \[START_FAILED\] web: .*exit code 3/m)
    expect(end.stderr).toContain('There is no database.')
  })

  test('have options of their own', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'a'))
    const end = await portzero([
      'run',
      `--cwd=api=${join(folder, 'a')}`,
      `--cwd=${folder}`,
      '--ready=api=/variable/X',
      '--ready=told',
      '--env=X=one=1',
      `--server=api=${server}`,
      `--server=web=${server}`,
      '--',
      ...ask('WEB_URL', '/variable/X'),
    ])
    expect(end).toMatchObject({ code: 0, stdout: 'one=1\n' })
    expect(end.stderr).toMatch(new RegExp(`\\[api\\] told .* in ${folder}/a\n`))
    expect(end.stderr).toMatch(new RegExp(`\\[web\\] told .* in ${folder}\n`))
    expect(end.stderr).toContain('[api] asked /variable/X')
  })

  test('eight times two at once have ports of their own', async () => {
    const runs = Array.from({ length: 8 }, async () =>
      portzero([
        'run',
        `--server=api=${server}`,
        `--server=web=${server}`,
        '--',
        ...ask('WEB_URL', '/'),
      ]),
    )
    const ends = await Promise.all(runs)
    expect(ends.map(({ code, stdout }) => [code, stdout])).toEqual(ends.map(() => [0, 'hello\n']))
  }, 60_000)
})

describe('what it prints', () => {
  test('with --quiet is nothing, where all goes well', async () => {
    const end = await portzero(['run', '--quiet', server, '--', 'true'])
    expect(end).toEqual({ code: 0, signal: null, stdout: '', stderr: '' })
  })

  test('with --quiet is what the server printed, if the command fails', async () => {
    const end = await portzero(['run', '--quiet', server, '--', 'false'])
    expect(end).toMatchObject({ code: 1 })
    expect(end.stderr).toMatch(/^\[server\] told /)
  })

  test('with --json is a line for each event', async () => {
    const end = await portzero(['run', '--json', '--quiet', '--name', 'api', server, '--', 'true'])
    const [ready, ended, ...more] = end.stderr.trim().split('\n')
    expect(more).toEqual([])
    expect(JSON.parse(ready as string)).toEqual({
      portzero: 'ready',
      servers: [
        {
          name: 'api',
          url: expect.stringMatching(/^http:/) as string,
          port: expect.any(Number) as number,
          pid: expect.any(Number) as number,
        },
      ],
    })
    expect(JSON.parse(ended as string)).toMatchObject({
      portzero: 'ended',
      command: { code: 0, signal: null },
      servers: [{ name: 'api', outcome: 'graceful', blockers: [] }],
    })
  })
})

describe('a server that dies', () => {
  test('ends a command that goes on', async () => {
    const script = `fetch(process.env.BASE_URL + '/exit'); setInterval(() => {}, 60_000)`
    const end = await portzero(['run', server, '--', process.execPath, '-e', script])
    expect(end).toMatchObject({ code: 1 })
    expect(end.stderr).toMatch(/^portzero: \[SERVER_DIED\] The server at .* exit code 7/m)
    expect(end.stderr).toContain('asked /exit')
    expect(end.stderr).not.toContain('had to be killed')
  })

  test('is told of also where the command fails for it, and ends at once', async () => {
    const script = `fetch(process.env.BASE_URL).catch(() => process.exit(5))`
    const slow = misbehaving('resets-before-it-dies.js')
    const end = await portzero(['run', slow, '--', process.execPath, '-e', script])
    expect(end).toMatchObject({ code: 5 })
    expect(end.stderr).toMatch(/^portzero: \[SERVER_DIED\] The server at .* exit code 7/m)
  })

  test('does not matter to a command that ends with it', async () => {
    // By `fetch`, Node 20 would still be compiling for a good while after the answer.
    const script = `http.get(process.env.BASE_URL + '/exit', (answer) => answer.pipe(process.stdout))`
    const end = await portzero(['run', server, '--', process.execPath, '-e', script])
    expect(end).toMatchObject({ code: 0, stdout: 'bye' })
    expect(end.stderr).not.toContain('SERVER_DIED')
  })
})

describe('a wrong command line', () => {
  test.each([
    [[], /No verb was given; there is: .*run/],
    [['no-such'], /There is no verb 'no-such'; there is: .*run/],
    [['run'], /Say what to serve/],
    [['run', server], /Say what to run, behind --/],
    [['run', server, '--'], /nothing behind --/],
    [['run', '--no-such', server, '--', 'true'], /Unknown option '--no-such'/],
    [['run', 'npm', 'start', '--', 'true'], /One target is served; got 2: npm, start/],
    [['run', '--server', 'api', '--', 'true'], /--server must be name=target/],
    [['run', '--server', `a b=${server}`, '--', 'true'], /name of a server/],
    [['run', '--server', `base=${server}`, '--', 'true'], /'base' is taken/],
    [['run', `--server=api=${server}`, `--server=API=${server}`, '--', 'true'], /API_URL/],
    [['run', `--server=api=${server}`, server, '--', 'true'], /must be left out/],
    [
      ['run', `--server=a=${server}`, `--server=b=${server}`, '--port=80', '--', 'true'],
      /--port a=3000/,
    ],
    [['run', '--grace', 'soon', server, '--', 'true'], /--grace must be a number of milliseconds/],
    [['run', '--env', 'X', server, '--', 'true'], /--env must be NAME=value/],
    [['run', '--ready', '(', server, '--', 'true'], /regular expression/],
  ])('%j is refused with exit code 2', async (args, message) => {
    const end = await portzero(args)
    expect(end).toMatchObject({ code: 2, stdout: '' })
    expect(end.stderr).toMatch(message)
  })

  test('a module may have a space in its path', async () => {
    const target = join(await temporaryFolder(), "it's a server.mjs")
    await copyFile(program('server.js'), target)
    const end = await portzero(['run', target, '--', 'echo', 'ran'])
    expect(end).toMatchObject({ code: 0, stdout: 'ran\n' })
  })

  test.each([
    ['./no-such.js', /INVALID_TARGET.*There is no file at/],
    ['', /INVALID_TARGET.*empty/],
    [program('../misbehaving/asgi'), /INVALID_TARGET/],
    [program('../../LICENSE'), /neither a module .* nor a program/],
    ['asgi:main', /INVALID_TARGET.*module and the app/],
  ])('the target %j is refused with exit code 1', async (target, message) => {
    const end = await portzero(['run', target, '--', 'echo', 'never'])
    expect(end).toMatchObject({ code: 1, stdout: '' })
    expect(end.stderr).toMatch(message)
  })

  test('a port that is out of range is an error of serve()', async () => {
    const end = await portzero(['run', '--port', '70000', server, '--', 'true'])
    expect(end).toMatchObject({ code: 1 })
    expect(end.stderr).toContain('[INVALID_OPTION]')
  })

  test.each([[['--help']], [['run', '--help']], [['--version']]])(
    '%j answers on stdout',
    async (args) => {
      const end = await portzero(args)
      expect(end).toMatchObject({ code: 0, stderr: '' })
      expect(end.stdout).toMatch(
        args.includes('--version') ? /^\d+\.\d+\.\d+\n$/ : /^Usage: portzero/,
      )
    },
  )
})
