import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Output } from '../dist/processes/output.js'

function outputOf(...streams: PassThrough[]): Output {
  const output = new Output()
  for (const stream of streams) output.add(stream)
  return output
}

test('lines of both streams are kept in the order in which they came', async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const output = outputOf(stdout, stderr)
  stdout.write('one\ntw')
  await setImmediate()
  stderr.write('three\r\n\n')
  await setImmediate()
  stdout.write('o\nfour')
  await setImmediate()
  expect(output.lines).toEqual(['one', 'three', '', 'two', 'four'])
  expect(output.text(2)).toBe('two\nfour')
  expect(output.text(0)).toBe('')
})

test('a character that comes in two pieces is put together', async () => {
  const stdout = new PassThrough()
  const output = outputOf(stdout)
  const bytes = Buffer.from('schön\n')
  stdout.write(bytes.subarray(0, 4))
  await setImmediate()
  stdout.write(bytes.subarray(4))
  await setImmediate()
  expect(output.lines).toEqual(['schön'])
})

test('no more than the last 200 lines are kept, one that is not complete included', async () => {
  const stdout = new PassThrough()
  const output = outputOf(stdout)
  stdout.write(`${Array.from({ length: 250 }, (_, line) => `line ${line}`).join('\n')}\nlast`)
  await setImmediate()
  expect(output.lines).toHaveLength(200)
  expect(output.lines[0]).toBe('line 51')
  expect(output.lines.at(-1)).toBe('last')
})

test('a line without end is cut off, and what follows it is whole', async () => {
  const stdout = new PassThrough()
  const output = outputOf(stdout)
  for (let megabyte = 0; megabyte < 3; megabyte += 1) {
    stdout.write('x'.repeat(1_000_000))
    await setImmediate()
  }
  stdout.write(`\n${'y'.repeat(2_000)}\n`)
  await setImmediate()
  expect(output.lines).toEqual([`${'x'.repeat(2_000)}…`, 'y'.repeat(2_000)])
})

test('a listener gets complete lines, the last one when the output ends, and none when it has left', async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const output = outputOf(stdout, stderr)
  const [stays, leaves]: [string[], string[]] = [[], []]
  output.onLine((line) => stays.push(line))
  const leave = output.onLine((line) => leaves.push(line))
  stdout.write('one\ntw')
  await setImmediate()
  leave()
  stdout.write('o\nthree')
  stderr.write('four')
  await output.end()
  expect(stays).toEqual(['one', 'two', 'three', 'four'])
  expect(leaves).toEqual(['one'])
  expect(stdout.destroyed).toBe(true)
})
