/** The variable that holds the URL of a server, in the runner and in its workers. */
export function variableOf(name: string): string {
  // What Playwright's own fixture `baseURL` has for a default.
  if (name === 'server') return 'PLAYWRIGHT_TEST_BASE_URL'
  return `${name.replaceAll(/([a-z\d])([A-Z])/g, '$1_$2').toUpperCase()}_URL`
}
