// An Express service whose POST requests take effect once when they carry an Idempotency-Key.
import express from 'express'
import { createOnce } from 'onceward'
import { idempotency } from 'onceward/express'
import { memoryStore } from 'onceward/memory'

const once = createOnce({ store: memoryStore(), scope: 'shop' })
let orders = 0

const app = express()
app.use(idempotency({ once, scope: (req) => req.get('x-customer') }))
app.post('/orders', (req, res) => res.status(201).json({ order: ++orders, customer: req.get('x-customer') }))

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`shop listening on http://127.0.0.1:${server.address().port}`)
})
process.once('SIGTERM', () => server.close())
