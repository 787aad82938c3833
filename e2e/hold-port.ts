import { once } from 'node:events'
import { createServer } from 'node:net'

/** Sees to it that a port is taken, by us or by somebody else. The caller disposes of it. */
export async function holdPort(port: number): Promise<AsyncDisposable> {
  const holder = createServer()
  try {
    await once(holder.listen(port), 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
  }
  return {
    [Symbol.asyncDispose]: async () => {
      if (holder.listening) await once(holder.close(), 'close')
    },
  }
}
