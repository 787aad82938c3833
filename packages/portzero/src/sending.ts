import { subscribe } from 'node:diagnostics_channel'

/** As undici tells of it, which Node's own fetch is made of. */
interface Message {
  readonly request: { readonly origin?: unknown }
}

/** What was asked for, and is not on the wire yet. */
const unsent: Set<Message['request']> = new Set()
const onSent: (() => void)[] = []
let isFollowing = false

/** Takes note, from now on, of what is asked for with undici, or with Node's own fetch. */
export function followSending(): void {
  if (isFollowing) return
  isFollowing = true
  subscribe('undici:request:create', (message) => unsent.add((message as Message).request))
  for (const end of ['undici:client:sendHeaders', 'undici:request:error']) {
    subscribe(end, (message) => {
      unsent.delete((message as Message).request)
      for (const look of onSent.splice(0)) look()
    })
  }
}

/** Resolves when what was asked of servers of these ports, by whatever name, is on the wire; `undefined` if it is. */
export function sending(ports: readonly number[]): Promise<void> | undefined {
  const isUnsent = (): boolean => [...unsent].some(({ origin }) => ports.includes(portOf(origin)))
  if (!isUnsent()) return undefined
  return (async () => {
    while (isUnsent()) await new Promise<void>((resolve) => onSent.push(resolve))
  })()
}

function portOf(origin: unknown): number {
  return Number(new URL(String(origin)).port)
}
