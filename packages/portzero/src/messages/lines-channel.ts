import type { Duplex } from 'node:stream'
import type { Channel } from './channel.ts'

/** A channel over a stream that carries bytes both ways: a line of JSON for each message. */
export function channelOver<Sent, Received>(stream: Duplex): Channel<Sent, Received> {
  // The other end may be gone, which its exit tells.
  stream.on('error', () => {})
  return {
    send: (message) => {
      if (stream.writable) stream.write(`${JSON.stringify(message)}\n`)
    },
    listen: (receive) => {
      let begun = ''
      stream.setEncoding('utf8')
      stream.on('data', (text: string) => {
        const lines = (begun + text).split('\n')
        begun = lines.pop() ?? ''
        for (const line of lines) {
          const message = messageIn(line)
          if (message === undefined) return void stream.destroy()
          receive(message as Received)
        }
      })
    },
  }
}

/** Undefined if it is none: somebody else is at the other end. */
function messageIn(line: string): object | undefined {
  try {
    const message: unknown = JSON.parse(line)
    return typeof message === 'object' && message !== null ? message : undefined
  } catch {
    return undefined
  }
}
