import fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { createOnce } from '../core/create-once.ts'
import { memoryStore } from '../stores/memory/index.ts'
import { idempotency } from './fastify.ts'

let app: FastifyInstance
afterEach(() => app.close())

async function start(): Promise<{
  ask: (payload: InjectOptions['payload'], headers?: object) => ReturnType<typeof send>
}> {
  app = fastify()
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    if (request.headers.authorization === 'revoked') return reply.code(403).send()
    return undefined
  })
  await app.register(
    idempotency({ once: createOnce({ store: memoryStore(), scope: 'test' }), scope: 'public' }),
  )
  let runs = 0
  const schema = { body: { type: 'object', required: ['amount'] } }
  app.post('/payments', { schema }, async (request) => ({ run: ++runs, body: request.body }))
  return { ask: (payload, headers = {}) => send(payload ?? {}, headers) }
}

function send(payload: NonNullable<InjectOptions['payload']>, headers: object) {
  return app
    .inject({ method: 'POST', url: '/payments', headers: { 'idempotency-key': 'k', ...headers }, payload })
    .then((r) => r)
}

describe('the Fastify plugin', () => {
  it('works under inject', async () => {
    const { ask } = await start()
    const [first, again, reused] = [
      await ask({ amount: 1 }),
      await ask({ amount: 1 }),
      await ask({ amount: 2 }),
    ]
    expect([first.statusCode, again.statusCode, reused.statusCode]).toEqual([200, 200, 422])
    expect(again.body).toBe(first.body)
    expect(again.json()).toEqual({ run: 1, body: { amount: 1 } })
  })

  it('leaves requests that fail validation to Fastify, which stores nothing', async () => {
    const { ask } = await start()
    const invalid = await ask({})
    expect(invalid.statusCode).toBe(400)
    expect(invalid.headers['idempotency-key']).toBeUndefined()
    expect((await ask({ amount: 1 })).statusCode).toBe(200)
  })

  it('gives no replay to a caller whose rights were revoked', async () => {
    const { ask } = await start()
    await ask({ amount: 1 })
    const revoked = await ask({ amount: 1 }, { authorization: 'revoked' })
    expect([revoked.statusCode, revoked.body]).toEqual([403, ''])
  })

  it('keeps the fields that earlier hooks set on a replay', async () => {
    const { ask } = await start()
    await ask({ amount: 1 })
    expect((await ask({ amount: 1 })).headers['x-request-id']).toBe('req-2')
  })
})
