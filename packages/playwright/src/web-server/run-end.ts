import { existsSync, rmSync } from 'node:fs'
import { failureIn } from './messages.ts'

/**
 * Has this process, if it is Playwright's main one, exit with code 1 where a server that met in this directory has not ended as it should:
 * Playwright does not mind how the programs of its entries end.
 */
export function heedServers(directory: string): void {
  process.once('exit', () => {
    if (!existsSync(failureIn(directory))) return
    rmSync(directory, { recursive: true, force: true })
    process.exitCode ||= 1
  })
}
