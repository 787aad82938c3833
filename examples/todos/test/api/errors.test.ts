import { describe, expect } from 'vitest'
import { add, list, send } from './requests.ts'
import { test } from './test.ts'

describe('400', () => {
  test.for([
    ['no title', {}, 'Enter a title'],
    ['an empty title', { title: ' ' }, 'Enter a title'],
    ['a title that is no string', { title: 7 }, 'Enter a title'],
    ['a long title', { title: 'x'.repeat(201) }, 'Enter a title of at most 200 characters'],
    ['no object', ['Buy milk'], 'Send a JSON object'],
  ] as const)('POST with %s', async ([, body, error], { server }) => {
    const before = await list(server)

    const response = await send(server, 'POST', '/api/todos', body)

    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ error })
    expect(await list(server)).toEqual(before)
  })

  test('POST with something that is not JSON', async ({ server }) => {
    const response = await server.fetch('/api/todos', { method: 'POST', body: '{ title' })

    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ error: 'Send a JSON object' })
  })

  test.for([
    ['nothing to change', {}, 'Send title, done, or both'],
    ['an empty title', { title: '' }, 'Enter a title'],
    ['done that is no boolean', { done: 'yes' }, 'done must be true or false'],
  ] as const)('PATCH with %s', async ([, body, error], { server }) => {
    const todo = await add(server, 'Stay as you are')

    const response = await send(server, 'PATCH', `/api/todos/${todo.id}`, body)

    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ error })
    expect(await list(server)).toContainEqual(todo)
  })
})

describe('404', () => {
  test.for(['/api/todos/2147483647', '/api/todos/99999999999999999999', '/api/todos/one'])(
    'PATCH and DELETE of %s',
    async (path, { server }) => {
      const answers = [
        await send(server, 'PATCH', path, { done: true }),
        await server.fetch(path, { method: 'DELETE' }),
      ]

      for (const answer of answers) {
        expect(answer.status).toBe(404)
        expect(await answer.json()).toEqual({ error: 'Not found' })
      }
    },
  )
})
