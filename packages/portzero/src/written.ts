import { Writable } from 'node:stream'

/** Resolves when all is written that was printed: what finds no room in the pipe waits here, and would end with this process. */
export async function written(): Promise<void> {
  const streams = [process.stdout, process.stderr].filter((stream) => stream.writableLength > 0)
  // Not by their own `write()`, which the app may have replaced.
  const { write } = Writable.prototype
  await Promise.all(
    streams.map((stream) => new Promise((resolve) => write.call(stream, '', 'utf8', resolve))),
  )
}
