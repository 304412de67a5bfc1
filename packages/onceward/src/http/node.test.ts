import { createServer as createPlainServer, type RequestListener } from 'node:http'
import { connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { idempotency } from './node.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

it('serves the compatibility API of HTTP/2 too', async () => {
  let runs = 0
  const guard = idempotency({ once: createOnce({ store: memoryStore(), scope: 'test' }), scope: 'public' })
  const handler: RequestListener = guard(async (req, res) => {
    let text = ''
    for await (const chunk of req) text += chunk
    res.writeHead(201, { Location: '/1' }).end(`run ${++runs}: ${text}`)
  })
  const server = createServer(handler as never)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  closers.push(
    () => session.destroy(),
    () => server.close(),
  )

  async function ask(body: string) {
    const stream = session.request({ ':method': 'POST', ':path': '/p', 'idempotency-key': 'k' })
    const headers = new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve))
    stream.end(body)
    let text = ''
    for await (const chunk of stream) text += chunk
    return { status: (await headers)[':status'], location: (await headers)['location'], text }
  }

  expect(await ask('abc')).toEqual({ status: 201, location: '/1', text: 'run 1: abc' })
  expect(await ask('abc')).toEqual({ status: 201, location: '/1', text: 'run 1: abc' })
  expect(await ask('xyz')).toMatchObject({ status: 422 })
  expect(runs).toBe(1)
})

it.each([
  ['hold', 'outcome-unknown', /^The effect may have happened.* held operation/],
  ['store', 'operation-failed', /^The handler failed; its effect may have happened\.$/],
  ['release', 'operation-failed', /^The handler failed; nothing happened\.$/],
] as const)('tells of a handler that threw what is true: %s', async (onServerError, code, detail) => {
  const once = createOnce({ store: memoryStore(), scope: 'test' })
  const guard = idempotency({ once, scope: 'public', onServerError })
  const server = createPlainServer(guard(() => Promise.reject(new Error('boom'))))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  const { port } = server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}/p`, {
    method: 'POST',
    headers: { 'Idempotency-Key': 'k' },
  })
  expect(answer.status).toBe(500)
  expect(await answer.json()).toMatchObject({ code, detail: expect.stringMatching(detail) })
})
