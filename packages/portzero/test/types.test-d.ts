// Compiled by `npm run typecheck`, never run: what a user may write, and what must not compile.
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import { H3 } from 'h3'
import { Hono } from 'hono'
import Koa from 'koa'
import { PortzeroError, serve } from 'portzero'
import type { CloseReport, ErrorCode, FactoryContext, LiveServer } from 'portzero'

declare function same<T>(
  value: T,
): <U>(other: [T] extends [U] ? ([U] extends [T] ? U : never) : never) => void

// Apps
await serve(new Hono())
await serve(new Hono<{ Bindings: { key: string } }>())
await serve(new H3())
await serve({ fetch: (request) => new Response(request.url) })
await serve({
  fetch: async (_request: Request, _env: { key: string }, _context: object) => new Response(),
})
await serve(express())
await serve(Fastify())
await serve(new Koa())
await serve(new Koa().callback())
await serve(http.createServer())
await serve(https.createServer())
await serve(http2.createServer())
await serve(http2.createSecureServer())
await serve((_request: IncomingMessage, response: ServerResponse) => void response.end())
await serve((_request: IncomingMessage, _response: ServerResponse, _next: () => void) => {})

// Factories and modules
await serve(() => new Hono())
await serve(async () => Fastify())
await serve(() => import('fixture-apps'))
await serve(() => {
  express().listen(3000)
})
await serve(() => express().listen(3000))
await serve(({ url, port, slot, workerId, signal, onClose }) => {
  same(url)<string>('')
  same(port)<number>(0)
  same(slot)<number>(0)
  same(workerId)<string>('')
  same(signal)<AbortSignal>(AbortSignal.abort())
  onClose(async () => {})
  return new Hono()
})
await serve((context) => {
  same(context)<FactoryContext>(context)
  return new Hono()
})
await serve(new URL('./server.js', import.meta.url))
await serve('./server.js')

// The handle
const server = await serve(new Hono(), {
  isolation: 'inline',
  host: '127.0.0.1',
  port: 0,
  https: true,
  http2: false,
  ready: '/health',
  startTimeout: 1,
  grace: 1,
})
same(server)<LiveServer>(server)
same(server.url)<string>('')
same(server.ca)<string | undefined>(server.ca)
const response: Response = await server.fetch('/', { method: 'POST', body: '' })
same(await server.close({ grace: 5 }))<CloseReport>(await server.close())
await using disposable: AsyncDisposable = server
await serve(new Hono(), {
  ready: async ({ fetch }) => {
    await fetch('/')
  },
})
const code: ErrorCode = new PortzeroError('NOT_READY', '').code
console.log(response, code, disposable)

// @ts-expect-error -- a number is no target
await serve(42)
// @ts-expect-error -- nothing is no target
await serve()
// @ts-expect-error -- an object needs fetch() or listen()
await serve({})
// @ts-expect-error -- a misspelled method
await serve({ fetsch: () => new Response() })
// @ts-expect-error -- fetch() must give a Response
await serve({ fetch: () => 'text' })
// @ts-expect-error -- a promise of an app: await it, or hand over a factory
await serve(Promise.resolve(new Hono()))
// @ts-expect-error -- a bare handler where a factory is expected
await serve((request: Request) => new Response(request.url))
// @ts-expect-error -- a factory that gives a Response
await serve(() => new Response())
// @ts-expect-error -- a factory that gives a number
await serve(() => 42)
// @ts-expect-error -- an async factory that gives a string
await serve(async () => 'http://127.0.0.1')
// @ts-expect-error -- an unknown option
await serve(new Hono(), { prot: 3000 })
// @ts-expect-error -- an option of the wrong type
await serve(new Hono(), { port: '3000' })
// @ts-expect-error -- the certificate is made here
await serve(new Hono(), { https: { key: '', cert: '' } })
// @ts-expect-error -- no such place
await serve('./app.js', { isolation: 'container' })
// @ts-expect-error -- an option of close() of the wrong type
await server.close({ grace: '1s' })
// @ts-expect-error -- the URL is read-only
server.url = ''
