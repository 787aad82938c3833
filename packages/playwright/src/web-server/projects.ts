/** Ways to start Playwright in which projects are chosen later, and by somebody else. */
const CHOOSES_LATER = /^(?:--ui(?:-host|-port)?(?:=.*)?|test-server)$/

/**
 * Whether a run by this command line may select one of the projects: `--project=a`, `--project a b`, with Playwright's wildcards.
 * Without the option, and where projects are chosen later, it may.
 */
export function maySelect(projects: readonly string[], args: readonly string[]): boolean {
  const selected = selectedBy(args)
  if (selected.length === 0 || args.some((argument) => CHOOSES_LATER.test(argument))) return true
  return selected.map(patternOf).some((pattern) => projects.some((name) => pattern.test(name)))
}

function selectedBy(args: readonly string[]): string[] {
  const selected: string[] = []
  let isList = false
  for (const argument of args) {
    if (argument.startsWith('--project=')) selected.push(argument.slice('--project='.length))
    else if (isList && !argument.startsWith('-')) selected.push(argument)
    isList = argument === '--project' || (isList && !argument.startsWith('-'))
  }
  return selected
}

function patternOf(selected: string): RegExp {
  const parts = selected.split('*').map((part) => part.replaceAll(/[\\^$.+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'i')
}
