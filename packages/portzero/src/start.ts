import { BoundSocket } from './socket.ts'

/** What whoever starts a server has to do with it while it starts. */
export interface Start {
  /** Aborts when the start is given up: it rejects with the reason, and what was started is killed. */
  readonly signal?: AbortSignal
  /** Is called when the server's address is its own, and awaited before its program is started: for others that start with it. */
  readonly meet?: () => Promise<void>
  /** Working directory of a module in a process of its own. */
  readonly cwd?: string
}

/** Binds the socket of a server. It is to be handed over before another turn of the event loop, and closed here. */
export async function bindFor(
  { meet }: Start,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<BoundSocket> {
  const socket = await BoundSocket.bind(host, { port })
  try {
    await meet?.()
    return socket
  } catch (error) {
    socket.close()
    throw error
  }
}

/** Rejects when the start is given up. */
export function givenUp({ signal }: Start): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = (): void => reject(signal?.reason as Error)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}
