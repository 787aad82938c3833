import { PortzeroError } from 'portzero'

/** What Node 20 says when a CommonJS project loads TypeScript by `import()`. */
const TAKEN_FOR_COMMONJS =
  /^(?:Cannot use import statement outside a module|Unexpected token 'export')$/

const ADVICE =
  'Where package.json does not say "type": "module", Playwright on Node 20 cannot import() TypeScript: ' +
  "hand over the app itself, or () => require('…'), or say it there."

/** Adds to an error what Playwright's loader has to do with it. */
export function explained(error: unknown): unknown {
  if (!(error instanceof PortzeroError)) return error
  const { cause } = error
  if (cause instanceof SyntaxError && TAKEN_FOR_COMMONJS.test(cause.message)) {
    error.message += `. ${ADVICE}`
  }
  return error
}
