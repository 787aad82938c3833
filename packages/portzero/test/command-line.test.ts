import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  type Command,
  fillIn,
  pathWithBins,
  placeholdersIn,
  runsNode,
  toProcess,
} from '../dist/processes/command-line.js'
import { temporaryFolder } from './temporary-folder.ts'

const run = promisify(execFile)

async function outputOf(command: Command): Promise<string> {
  const { file, args } = toProcess(command)
  return (await run(file, args, { env: { ...process.env, WHO: 'world' } })).stdout
}

describe('placeholders', () => {
  test.each<[Command, Record<string, string> | undefined, string[]]>([
    ['serve --port {port} --host {host}', undefined, ['port', 'host']],
    [['uvicorn', '--fd', '{fd}'], {}, ['fd']],
    ['npm start', { BASE: '{url}/api', OTHER: '{x}' }, ['url']],
    ['npm start', undefined, []],
    ['serve ${port} {{port}} {Port} { port } {a,port}', undefined, []],
  ])('%j with %j has %j', (command, env, expected) => {
    expect([...placeholdersIn(command, env)]).toEqual(expected)
  })

  test('are filled in, each time', () => {
    const values = { fd: 3, port: 8080, host: '::1', url: 'http://[::1]:8080' }
    expect(fillIn('{fd} {port}:{port} {host} {url}/x', values)).toBe(
      '3 8080:8080 ::1 http://[::1]:8080/x',
    )
  })

  test('are filled in with what a pattern of replace() would mean', () => {
    expect(fillIn('a{host}b', { host: '$&$1' })).toBe('a$&$1b')
  })

  test.each(['${port}', '${PORT:-3000}', '{a,b}', '{{port}}', '{}', '{"port":1}', 'awk {print}'])(
    'leave %s as it is',
    (text) => {
      expect(fillIn(text, { host: 'h', port: 1 })).toBe(text)
    },
  )

  test('are filled in within JSON', () => {
    expect(fillIn('{"listen":{"port":{port}}}', { host: 'h', port: 1 })).toBe(
      '{"listen":{"port":1}}',
    )
  })

  test('without a value are an error that names those that have one', () => {
    expect(() => fillIn('serve {fd}', { host: 'h', port: 1, url: undefined as never })).toThrow(
      'There is no value for {fd} in the command. Use {host} or {port}.',
    )
  })
})

describe('to a process', () => {
  test.each<[Command, string, string[]]>([
    [['node', 'a b.js', '$x'], 'node', ['a b.js', '$x']],
    ['node server.js', 'node', ['server.js']],
    ['  npx  vite\t--port=80 ', 'npx', ['vite', '--port=80']],
    ['./bin/serve @scope/app a:b,c+d%', './bin/serve', ['@scope/app', 'a:b,c+d%']],
  ])('%j needs no shell', (command, file, args) => {
    expect(toProcess(command)).toEqual({ file, args })
  })

  test.each([
    'npm run build && npm start',
    'PORT=80 node server.js',
    "node 'my server.js'",
    'node "a"',
    'node $FILE',
    'node *.js',
    'node ~/server.js',
    'node a\\ b.js',
    'node a.js; node b.js',
    'node a.js\nnode b.js',
    'node a.js # comment',
    'exec node server.js',
    'cd app',
    '. ./environment',
    '(node a.js)',
    'node a.js > log',
    'node {a,b}.js',
    'node a?.js',
    'node [ab].js',
    '! node a.js',
    'node `which app`',
  ])('%j needs one', (line) => {
    expect(toProcess(line)).toEqual({ file: '/bin/sh', args: ['-c', line] })
  })

  test.each<Command>(['', ' \n', [], [''], ['', 'a']])('%j is an error', (command) => {
    expect(() => toProcess(command)).toThrow('The command is empty.')
  })

  test.each<[Command, string]>([
    [['printf', '%s|', '$WHO', 'a b'], '$WHO|a b|'],
    ['printf %s- a b', 'a-b-'],
    ['printf "%s|" "$WHO" "a b"', 'world|a b|'],
    ['WHO=you; printf "$WHO"', 'you'],
    ['false || echo second', 'second\n'],
  ])('%j runs', async (command, expected) => {
    expect(await outputOf(command)).toBe(expected)
  })
})

describe('the PATH', () => {
  test('begins with what is installed nearest', () => {
    expect(pathWithBins('/a/b', '/usr/bin:/bin')).toBe(
      [
        '/a/b/node_modules/.bin',
        '/a/node_modules/.bin',
        '/node_modules/.bin',
        '/usr/bin:/bin',
      ].join(delimiter),
    )
  })

  test.each(['', undefined])('has no empty entry for %j', (PATH) => {
    expect(pathWithBins('/', PATH)).toBe('/node_modules/.bin')
  })

  test('finds what is installed here', async () => {
    const env = { ...process.env, PATH: pathWithBins(import.meta.dirname, process.env['PATH']) }
    const { file, args } = toProcess('vitest --version')
    expect((await run(file, args, { env })).stdout).toMatch(/^vitest\/\d/)
  })
})

describe('a guess whether it is Node', () => {
  test.each<Command>([
    'node server.js',
    '/usr/local/bin/node server.js',
    [process.execPath, 'server.js'],
    'npm start',
    'npx vite',
    'pnpm dev && echo done',
    'yarn; true',
    'npm.cmd start',
    'NODE_ENV=test A="b c" node server.js',
    "env A='b c' B= node server.js",
    'exec node server.js',
    '"node" server.js',
    'node "my server.js"',
  ])('%j is', (command) => {
    expect(runsNode(command, '/', undefined)).toBe(true)
  })

  test.each<Command>([
    'python3 -m http.server',
    'sh -c "node server.js"',
    'cd app && node server.js',
    '$NODE server.js',
    '(node server.js)',
    '"$NODE" server.js',
    'a-program-that-is-not-installed',
    'echo node',
    '',
    [],
    [''],
    ['node server.js'],
  ])('%j is not, or cannot be told', (command) => {
    expect(runsNode(command, '/', process.env['PATH'])).toBe(false)
  })

  test.each<[string, string, boolean]>([
    ['env node', '#!/usr/bin/env node\n', true],
    ['env -S', '#!/usr/bin/env -S A=1 node --flag\n', true],
    ['its path', '#! /opt/node-20/bin/node --flag\n', true],
    [
      'a shim of pnpm',
      '#!/bin/sh\nbasedir=x\nif [ -x "$basedir/node" ]; then\n  exec "$basedir/node"  "a.js" "$@"\nelse\n  exec node  "a.js" "$@"\nfi\n',
      true,
    ],
    ['a shell', '#!/bin/sh\nnode a.js\nexec nodemon\n', false],
    ['Python', '#!/usr/bin/env python3\n', false],
    ['another runtime', '#!/usr/bin/env node-like\n', false],
    ['a binary', '\u007fELF#!/usr/bin/env node\n', false],
    ['nothing', '', false],
  ])('by what a program begins with: %s', async (_, text, expected) => {
    const folder = await temporaryFolder()
    const bin = join(folder, 'node_modules/.bin')
    await mkdir(bin, { recursive: true })
    await writeFile(join(folder, 'cli.js'), text, { mode: 0o755 })
    await symlink('../../cli.js', join(bin, 'app'))
    const PATH = pathWithBins(folder, process.env['PATH'])
    expect(runsNode('app --port 80', folder, PATH)).toBe(expected)
    expect(runsNode(['app', '--port', '80'], folder, PATH)).toBe(expected)
    expect(runsNode('./cli.js', folder, undefined)).toBe(expected)
    expect(runsNode('app', folder, dirname(folder))).toBe(false)
  })

  test('a file that cannot be run is not found', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'app'), '#!/usr/bin/env node\n', { mode: 0o644 })
    expect(runsNode('app', folder, folder)).toBe(false)
    await mkdir(join(folder, 'other'))
    expect(runsNode('other', folder, folder)).toBe(false)
  })
})
