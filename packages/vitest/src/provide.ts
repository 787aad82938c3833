import type { LiveServer } from 'portzero'
import { addressOf } from 'portzero/shared'
import type { Definition } from 'portzero/shared'
import type { TestProject } from 'vitest/node'

/** Tells the tests of a project how to reach a server; pages may know it by another `url`. */
export function provide(
  project: TestProject,
  { name, urlName, options }: Definition,
  server: LiveServer,
  url: string = server.url,
): void {
  project.provide(urlName as 'baseURL', url)
  if (options.https) project.provide(`${name}CA` as 'serverCA', server.ca)
  if (name !== 'server') return
  // For the fixtures of our own. As text: not all that can be written down reaches every worker.
  project.provide('serverAddress' as 'baseURL', JSON.stringify(addressOf(server)))
}
