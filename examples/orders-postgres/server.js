// An Express service that takes orders once: the order, and the record of its key, commit in one transaction.
import express from 'express'
import { createOnce, isOncewardError } from 'onceward'
import { postgresStore } from 'onceward/postgres'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
// An idle connection may break; the pool opens another one.
pool.on('error', (error) => console.error(error.message))
const store = postgresStore(pool)
await store.migrate()
await pool.query(`CREATE TABLE IF NOT EXISTS orders (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL, cart text NOT NULL, total integer NOT NULL)`)
const once = createOnce({ store, scope: 'orders' })

const app = express()
app.use(express.json())

app.post('/orders', async (req, res) => {
  // Whoever is authenticated in your service: two customers never share a key.
  const customer = req.get('x-customer')
  const key = req.get('idempotency-key')
  if (!customer || !key) return res.status(400).json({ code: 'KEY_MISSING' })

  const call = { scope: `orders:${customer}`, key, input: req.body }
  const order = await once.transaction(call, async (client) => {
    const { rows } = await client.query(
      'INSERT INTO orders (customer, cart, total) VALUES ($1, $2, $3) RETURNING *',
      [customer, req.body.cart, req.body.total],
    )
    return rows[0]
  })
  res.status(201).json(order)
})

app.get('/orders', async (_req, res) => res.json((await pool.query('SELECT * FROM orders ORDER BY id')).rows))

app.use((error, _req, res, next) => {
  if (!isOncewardError(error)) return next(error)
  const { code, message, retryable, effect, status, retryAfterMs } = error
  if (retryAfterMs) res.set('retry-after', String(Math.ceil(retryAfterMs / 1000)))
  res.status(status).json({ code, message, retryable, effect })
})

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`orders listening on http://127.0.0.1:${server.address().port}`)
})
process.once('SIGTERM', () =>
  server.close(async () => {
    await once.close()
    await store.close()
    await pool.end()
  }),
)
