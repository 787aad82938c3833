import { describe, expect } from 'vitest'
import { add, list, send } from './requests.ts'
import { test } from './test.ts'

describe('GET /api/todos', () => {
  test('lists the todos in the order they were added', async ({ server }) => {
    const milk = await add(server, 'Buy milk')
    const bread = await add(server, 'Bake bread')

    const todos = await list(server)

    expect(todos.slice(-2)).toEqual([milk, bread])
  })
})

describe('POST /api/todos', () => {
  test('adds a todo that is not done', async ({ server }) => {
    const response = await send(server, 'POST', '/api/todos', { title: '  Water the plants ' })

    expect(response.status).toBe(201)
    expect(await response.json()).toEqual({
      id: expect.any(Number),
      title: 'Water the plants',
      done: false,
    })
  })

  test('keeps what looks like SQL as it is', async ({ server }) => {
    const todo = await add(server, "'); drop table todos; --")

    expect(await list(server)).toContainEqual(todo)
  })
})

describe('PATCH /api/todos/:id', () => {
  test('marks a todo as done', async ({ server }) => {
    const todo = await add(server, 'Call mum')

    const response = await send(server, 'PATCH', `/api/todos/${todo.id}`, { done: true })

    expect(response.status).toBe(200)
    expect(await list(server)).toContainEqual({ ...todo, done: true })
  })

  test('changes the title and leaves the rest', async ({ server }) => {
    const todo = await add(server, 'Pay the rnet')

    await send(server, 'PATCH', `/api/todos/${todo.id}`, { done: true })
    await send(server, 'PATCH', `/api/todos/${todo.id}`, { title: 'Pay the rent' })

    expect(await list(server)).toContainEqual({ ...todo, title: 'Pay the rent', done: true })
  })
})

describe('DELETE /api/todos/:id', () => {
  test('removes a todo', async ({ server }) => {
    const todo = await add(server, 'Old news')

    const response = await server.fetch(`/api/todos/${todo.id}`, { method: 'DELETE' })

    expect(response.status).toBe(204)
    expect(await list(server)).not.toContainEqual(todo)
  })
})
