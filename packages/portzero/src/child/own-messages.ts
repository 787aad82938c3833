import type { Channel } from '../messages/channel.ts'

/** Marks a message as one of ours. */
const MARK = 'portzero'

/** A channel that an app has too, for messages of its own: ours are marked, and all others are ignored. */
export function ownMessages<Sent, Received>(
  shared: Channel<object, unknown>,
): Channel<Sent, Received> {
  return {
    send: (message) => shared.send({ [MARK]: message }),
    listen: (receive) =>
      shared.listen((message) => {
        const own = isObject(message) ? message[MARK] : undefined
        if (isObject(own)) receive(own as Received)
      }),
  }
}

function isObject(value: unknown): value is { readonly [MARK]?: unknown } {
  return typeof value === 'object' && value !== null
}
