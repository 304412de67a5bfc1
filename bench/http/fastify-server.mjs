// node fastify-server.mjs bare|floor|onceward FILE full|normal
import fastify from 'fastify'
import { answerParent, createPayments } from '../lib/payments.mjs'
import { createFloor } from './floor.mjs'
import { idempotent } from './onceward.mjs'

const [contestant = 'bare', file = '', synchronous] = process.argv.slice(2)
const level = synchronous === 'normal' ? 'normal' : 'full'
const payments = createPayments()
const app = fastify()

if (contestant === 'onceward') {
  const { idempotency } = await import('onceward/fastify')
  await app.register(idempotency(await idempotent(file, level)))
}

if (contestant === 'floor') {
  const floor = createFloor(file, level)
  app.post('/payments', async (request, reply) => {
    const key = String(request.headers['idempotency-key'])
    if (!floor.claim(key)) {
      const { status, body } = floor.find(key)
      if (status === null) return reply.code(409).send({ title: 'in progress' })
      return reply.code(status).header('Idempotent-Replayed', 'true').type('application/json').send(body)
    }
    const body = JSON.stringify(payments.charge(/** @type {object} */ (request.body)))
    floor.finish(key, 201, body)
    return reply.code(201).type('application/json').send(body)
  })
} else {
  app.post('/payments', async (request, reply) =>
    reply.code(201).send(payments.charge(/** @type {object} */ (request.body))),
  )
}

answerParent(payments.count)
console.log(`listening on ${await app.listen({ port: 0, host: '127.0.0.1' })}`)
