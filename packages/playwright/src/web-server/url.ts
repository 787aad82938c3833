import { PortzeroError } from 'portzero'
import { variableOf } from './names.ts'

/**
 * The URL of a server of `webServer()`, for tests and fixtures: the one with that `name`, or the one without.
 * Throws `NO_WEB_SERVER` if the run has none, and while the configuration is loaded, when none is started yet.
 */
export function webServerURL(name: string = 'server'): string {
  const variable = variableOf(name)
  const url = process.env[variable]
  if (url !== undefined) return url
  const which = name === 'server' ? 'without a name' : `of the name '${name}'`
  throw new PortzeroError(
    'NO_WEB_SERVER',
    `There is no web server ${which}: ${variable} is not set. It is set when the server is ready: ask in a test or a fixture, ` +
      "not in the configuration; and look whether it is in the configuration's webServer, and its option 'projects' names this project.",
  )
}
