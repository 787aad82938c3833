import { createRequire } from 'node:module'
import { PortzeroError } from 'portzero'

/** The first version whose `webServer` can wait for a line of output. */
const NEEDED = [1, 57] as const

/** Throws `RUNNER_TOO_OLD` where Playwright can only poll a URL that is known before the server runs. */
export function checkPlaywright(version: string = installedVersion()): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1])) return
  throw new PortzeroError(
    'RUNNER_TOO_OLD',
    `webServer() needs Playwright ${NEEDED.join('.')} or later, whose webServer waits for a line of output instead of polling a fixed port. ` +
      `Installed is ${version}: npm install --save-dev @playwright/test@latest. liveServer() works from 1.50.`,
  )
}

function installedVersion(): string {
  const require = createRequire(import.meta.url)
  return (require('@playwright/test/package.json') as { version: string }).version
}
