// node express-server.mjs bare|floor|node-idempotency|express-idempotency|onceward FILE full|normal
import express from 'express'
import { answerParent, createPayments } from '../lib/payments.mjs'
import { createFloor } from './floor.mjs'
import { idempotent } from './onceward.mjs'

const [contestant = 'bare', file = '', synchronous] = process.argv.slice(2)
const level = synchronous === 'normal' ? 'normal' : 'full'
const payments = createPayments()
const app = express()

if (contestant === 'onceward') {
  const { idempotency } = await import('onceward/express')
  app.use(idempotency(await idempotent(file, level)))
}
app.use(express.json())

if (contestant === 'floor') {
  const floor = createFloor(file, level)
  app.post('/payments', (req, res) => {
    const key = req.get('idempotency-key') ?? ''
    if (!floor.claim(key)) {
      const { status, body } = floor.find(key)
      if (status === null) return void res.status(409).json({ title: 'in progress' })
      res.set('Idempotent-Replayed', 'true')
      return void res.status(status).type('json').send(body)
    }
    const body = JSON.stringify(payments.charge(req.body))
    floor.finish(key, 201, body)
    res.status(201).type('json').send(body)
  })
} else if (contestant === 'express-idempotency') {
  const { expressIdempotencyOn } = await import('./peers.mjs')
  const { middleware, isHit } = expressIdempotencyOn(file, level)
  // It does not await: what its adapter rejects has to end somewhere.
  process.on('unhandledRejection', () => {})
  app.use(/** @type {any} */ (middleware))
  app.post('/payments', (req, res) => {
    if (!isHit(req)) res.status(201).json(payments.charge(req.body))
  })
} else {
  if (contestant === 'node-idempotency') app.use((await import('./peers.mjs')).nodeIdempotency(file, level))
  app.post('/payments', (req, res) => void res.status(201).json(payments.charge(req.body)))
}

answerParent(payments.count)
const server = app.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`listening on http://127.0.0.1:${port}`)
})
