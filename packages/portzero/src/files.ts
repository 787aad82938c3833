// Files of this package that others load: threads, other processes, Python. `scripts/bundle.js` makes what runs as a program.
import { fileURLToPath } from 'node:url'

/** Runs an app in a thread, or in a process of its own. */
export const HOST: string = path('dist/host.cjs')

/** Catches the `listen()` of a Node program that is started with it. */
export const REGISTER: string = path('dist/register.cjs')

/** Holds a server in the background. */
export const HOLDER: string = path('dist/holder.cjs')

/** Ends the servers that the workers of a run share. */
export const END_SHARED: string = path('dist/end-shared.cjs')

/** Runs an ASGI app. */
export const SERVE_ASGI: string = path('python/serve_asgi.py')

export const MANIFEST: string = path('package.json')

/** This module is one file of `dist`, and also a part of others there. */
function path(file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url))
}
