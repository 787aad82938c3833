import { afterEach, describe, expect, test } from 'vitest'
import type { TestProject } from 'vitest/node'
import { globalServer } from '@portzero/vitest'
import type { GlobalSetup, SharedContext } from '@portzero/vitest'

/** As much of a project as a setup uses, and what it was provided with. */
function projectOf(
  vitest: object,
  globalSetup: readonly string[] = ['/setup.ts'],
): { project: TestProject; provided: Map<string, string> } {
  const provided = new Map<string, string>()
  const provide = provided.set.bind(provided)
  Object.assign(vitest, { onClose: () => {} })
  const project = { vitest, config: { globalSetup }, provide } as unknown as TestProject
  return { project, provided }
}

/** What a globalSetup file exports, as it is evaluated anew for each project. */
function evaluate(): GlobalSetup {
  return globalServer(({ slot, workerId }: SharedContext) => ({
    fetch: () => Response.json({ slot, workerId }),
  }))
}

async function answers(url: string | undefined): Promise<boolean> {
  return fetch(url!).then(
    (response) => response.ok,
    () => false,
  )
}

test('it provides its URL, and its teardown closes it', async () => {
  const { project, provided } = projectOf({})

  const teardown = await evaluate()(project)
  const url = provided.get('baseURL')!
  expect(await (await fetch(url)).json()).toEqual({ slot: 0, workerId: 'global' })

  await teardown()
  await teardown()
  expect(await answers(url)).toBe(false)
})

test('a name provides another key', async () => {
  const { project, provided } = projectOf({})

  const app = { fetch: (): Response => new Response() }
  const teardown = await globalServer(app, { name: 'api' })(project)
  expect([...provided.keys()]).toEqual(['apiURL'])
  await teardown()
})

test('projects of one run that inherit the file share the server until the last is done', async () => {
  const vitest = {}
  const [left, right] = [projectOf(vitest), projectOf(vitest)]

  const teardowns = [await evaluate()(left.project), await evaluate()(right.project)]
  const url = left.provided.get('baseURL')
  expect(right.provided.get('baseURL')).toBe(url)

  await teardowns[0]!()
  expect(await answers(url)).toBe(true)
  await teardowns[1]!()
  expect(await answers(url)).toBe(false)
})

test('other runs and other files have servers of their own', async () => {
  const vitest = {}
  const projects = [projectOf(vitest), projectOf({}), projectOf(vitest, ['/other.ts'])]

  const teardowns: (() => Promise<void>)[] = []
  for (const { project } of projects) teardowns.push(await evaluate()(project))
  expect(new Set(projects.map(({ provided }) => provided.get('baseURL'))).size).toBe(3)

  for (const teardown of teardowns) await teardown()
})

test('a factory uses another global server', async () => {
  const { project, provided } = projectOf({})
  const api = globalServer({ fetch: () => new Response('from the API') }, { name: 'api' })
  const pages = globalServer(async ({ use }) => {
    const { url } = await use(api)
    return { fetch: () => fetch(url) }
  })

  const teardown = await pages(project)
  expect(await (await fetch(provided.get('baseURL')!)).text()).toBe('from the API')
  await teardown()
})

describe('when it fails', () => {
  const { exitCode } = process
  afterEach(() => void (process.exitCode = exitCode))

  test('a start rejects, and the next one tries again', async () => {
    const { project, provided } = projectOf({})
    let broken = true
    const setup = globalServer(() => {
      if (broken) throw new Error('no database')
      return { fetch: () => new Response() }
    })

    await expect(setup(project)).rejects.toMatchObject({ code: 'FACTORY_FAILED' })
    expect([...provided.keys()]).toEqual([])

    broken = false
    const teardown = await setup(project)
    expect(await answers(provided.get('baseURL'))).toBe(true)
    await teardown()
  })

  test('a close hook fails the run', async () => {
    const { project } = projectOf({})
    const setup = globalServer(({ onClose }) => {
      onClose(() => {
        throw new Error('the database is still in use')
      })
      return { fetch: () => new Response() }
    })

    const teardown = await setup(project)
    await expect(teardown()).rejects.toMatchObject({ code: 'CLOSE_FAILED' })
    expect(process.exitCode).toBe(1)
  })
})

describe('it refuses at once', () => {
  const app = { fetch: (): Response => new Response() }

  test.for([
    ['a target of no known kind', 42, {}, 'INVALID_TARGET', /^Cannot serve the number 42/],
    ['an option of no known name', app, { prot: 1 }, 'UNKNOWN_OPTION', /globalServer\(\).*'prot'/],
    ['what becomes of requests', app, { lingering: 'fail' }, 'UNKNOWN_OPTION', /'lingering'/],
    ['a new start', app, { restart: 'between-tests' }, 'UNKNOWN_OPTION', /'restart'/],
    ['a scope', app, { scope: 'run' }, 'UNKNOWN_OPTION', /'scope'/],
    ['a wrong value', app, { grace: '1s' }, 'INVALID_OPTION', /'grace' of globalServer\(\)/],
  ] as const)('%s', ([, target, options, code, message]) => {
    const call = (): unknown => globalServer(target as typeof app, options as { grace: number })
    expect(call).toThrow(expect.objectContaining({ code }))
    expect(call).toThrow(message)
  })
})
