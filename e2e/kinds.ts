import { findPython, whyNot } from '../scripts/asgi.js'

const python = findPython()

/** A server that has a thread or process of its own, as the projects `…-apart` know it. */
export interface Kind {
  readonly kind: string
  readonly apps: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Why it cannot be run here. */
  readonly notRun?: string
}

/** Those that run an app of Node. */
export const nodeKinds: readonly Kind[] = ['thread', 'process', 'command'].map((kind) => ({
  kind,
  apps: ['contract'],
  env: { KIND: kind },
}))

export const kinds: readonly Kind[] = [
  ...nodeKinds,
  {
    kind: 'asgi',
    apps: ['fastapi'],
    env: { KIND: 'asgi', PYTHON: python ?? '', PYTHONDONTWRITEBYTECODE: '1' },
    ...(python === undefined && { notRun: `not run: asgi (${whyNot()})` }),
  },
]
