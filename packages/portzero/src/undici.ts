import type * as Undici from 'undici'

let loaded: typeof Undici | undefined

/**
 * The library that the client is made of. It is loaded with the first request: it takes longer to load than all the rest together,
 * and a server that only a browser asks does without.
 */
export function undici(): typeof Undici {
  if (loaded !== undefined) return loaded
  // Makes Node load its own `fetch`, with an agent of its own: an undici that is loaded before puts its agent there, and
  // whatever the app and the tests fetch would go through that.
  void globalThis.Response
  const { createRequire } = process.getBuiltinModule('node:module')
  return (loaded = createRequire(import.meta.url)('undici') as typeof Undici)
}
