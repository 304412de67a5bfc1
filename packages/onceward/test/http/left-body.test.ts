import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { expect, it } from 'vitest'
import { createOnce } from '../../src/core/index.ts'
import { idempotency } from '../../src/http/koa.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'

it('tells bodies apart by what a parser of Koa, mounted earlier, has left as the value alone', async () => {
  const once = createOnce({ store: memoryStore(), scope: 's' })
  const app = new Koa()
  app.use(async (ctx, next) => {
    let text = ''
    for await (const chunk of ctx.req) text += String(chunk)
    Object.assign(ctx.request, { body: JSON.parse(text) as unknown })
    await next()
  })
  app.use(idempotency({ once, scope: 'public' }))
  let runs = 0
  app.use((ctx) => {
    ctx.body = `${++runs}`
  })
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const post = async (body: string) => {
    const headers = { 'Idempotency-Key': 'k', 'Content-Type': 'application/json', Connection: 'close' }
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', headers, body })
    return { status: response.status, text: await response.text() }
  }
  expect(await post('{"a":1,"b":2}')).toEqual({ status: 200, text: '1' })
  expect(await post('{"b":2,"a":1}')).toEqual({ status: 200, text: '1' })
  expect(await post('{"a":2,"b":2}')).toMatchObject({ status: 422 })
  await new Promise((resolve) => server.close(resolve))
})
