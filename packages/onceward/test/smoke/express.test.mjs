/** A round trip over a socket through Express. */
import assert from 'node:assert/strict'
import { once as event } from 'node:events'
import test from 'node:test'
import express from 'express'
import { createOnce } from 'onceward'
import { idempotency } from 'onceward/express'
import { memoryStore } from 'onceward/memory'

test('two parallel payments with one key are charged once and answered twice', async () => {
  let charges = 0
  const app = express()
  app.use(idempotency({ once: createOnce({ store: memoryStore(), scope: 'smoke' }), scope: 'public' }))
  app.use(express.json())
  app.post('/payments', (req, res) => {
    charges++
    res.status(201).json({ id: charges, amount: req.body.amount })
  })
  const server = app.listen(0, '127.0.0.1')
  await event(server, 'listening')
  try {
    const pay = () =>
      fetch(`http://127.0.0.1:${server.address().port}/payments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': 'order-1' },
        body: '{"amount":4200}',
      })
    const responses = await Promise.all([pay(), pay()])
    for (const response of responses) {
      assert.equal(response.status, 201)
      assert.deepEqual(await response.json(), { id: 1, amount: 4200 })
    }
    assert.deepEqual(
      responses.map((response) => response.headers.get('idempotent-replayed')).sort(),
      ['true', null].sort(),
    )
    assert.equal(charges, 1)
  } finally {
    server.close()
  }
})
