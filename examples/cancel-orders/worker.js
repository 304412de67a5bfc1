// One instance of an order service. Ten of them run the same jobs; see README.md.
import { setTimeout as pause } from 'node:timers/promises'
import { createLocks, deleteInSegments, fencedRow } from 'onceward/locks'
import { postgresLocks } from 'onceward/locks/postgres'
import { redisLocks } from 'onceward/locks/redis'
import pg from 'pg'
import { createClient } from 'redis'

const { DATABASE_URL, REDIS_URL, LOCKS, WORKER, FENCES } = process.env
const pool = new pg.Pool({ connectionString: DATABASE_URL, options: '-c search_path=cancel_orders', max: 4 })
pool.on('error', () => {})

const redis = LOCKS === 'redis' ? createClient({ url: REDIS_URL }) : undefined
redis?.on('error', () => {})
await redis?.connect()
const backend = redis ? redisLocks(redis, { prefix: 'cancel-orders' }) : postgresLocks(pool)
// Short, so that what the runner does to processes matters. In production: tens of seconds.
const locks = createLocks(backend, { ttlMs: 1000, owner: WORKER })
let stopping = false

/** Looks, asks and writes under the lock of the order. Whoever was stopped in between is refused by the database. */
async function cancelOrder(id) {
  const lease = await locks.tryAcquire(`order:${id}`)
  if (!lease) return
  try {
    // The first write says whose turn it is: from here on the row refuses everybody who held the lock before.
    const ours = await transaction((tx) => update(tx, 'orders', { id, status: 'unpaid' }, {}, lease.fence))
    if (ours !== 'written') return
    await askPaymentService()
    await transaction(async (tx) => {
      const done = await update(tx, 'orders', { id }, { status: 'cancelled' }, lease.fence)
      if (done !== 'written') return refused(tx, `order ${id}`)
      const order = (await tx.query('SELECT product, quantity FROM orders WHERE id = $1', [id])).rows[0]
      await tx.query('UPDATE stock SET quantity = quantity + $1 WHERE product = $2', [
        order.quantity,
        order.product,
      ])
      await tx.query('INSERT INTO releases (order_id, worker) VALUES ($1, $2)', [id, WORKER])
    })
  } finally {
    await lease[Symbol.asyncDispose]()
  }
}

/** The payment service takes its time to say that nobody has paid. */
const askPaymentService = () => pause(40 + Math.random() * 120)

async function cancelOrders() {
  while (!stopping) {
    const found = await pool.query("SELECT id FROM orders WHERE status = 'unpaid' ORDER BY random() LIMIT 5")
    for (const { id } of found.rows) if (!stopping) await cancelOrder(id)
    if (found.rows.length === 0) await pause(50)
  }
}

/** Deletes expired carts, a page at a time, each segment under its own lock. */
async function deleteCarts() {
  while (!stopping) {
    await deleteInSegments({
      locks,
      name: 'carts',
      segments: 16,
      waitMs: 200,
      concurrency: 2,
      async page(after = '') {
        const sql = 'SELECT id FROM carts WHERE expired AND id > $1 ORDER BY id LIMIT 100'
        const ids = (await pool.query(sql, [after])).rows.map(({ id }) => id)
        return ids.length === 100 && !stopping ? { ids, next: ids.at(-1) } : { ids }
      },
      remove: (ids, { key, fence }) =>
        transaction(async (tx) => {
          await tx.query('INSERT INTO segments (key) VALUES ($1) ON CONFLICT DO NOTHING', [key])
          if ((await update(tx, 'segments', { key }, {}, fence)) !== 'written') return refused(tx, key)
          await pause(Math.random() * 30)
          const sql = 'DELETE FROM carts WHERE expired AND id = ANY($1) RETURNING id'
          const deleted = (await tx.query(sql, [ids])).rows.map(({ id }) => id)
          const log = 'INSERT INTO deletions (cart_id, worker) SELECT id, $2 FROM unnest($1::text[]) AS id'
          await tx.query(log, [deleted, WORKER])
          return deleted.length
        }),
    })
    await pause(50)
  }
}

/** A report every second, on one of all instances. */
const everySecond = { next: (after) => new Date((Math.floor(after.getTime() / 1000) + 1) * 1000) }
const report = locks.cron('report', { schedule: everySecond, atMostMs: 2000, ttlMs: 1000 }, ({ tick }) =>
  pool.query('INSERT INTO reports (tick, worker) VALUES ($1, $2)', [tick, WORKER]),
)

function update(tx, table, where, set, fence) {
  if (FENCES !== 'off') return fencedRow(tx, { table, where, set, fence })
  // What people write: it believes that it holds the lock.
  return fencedRow(tx, { table, where, set, fence: Number.MAX_SAFE_INTEGER })
}

/** For the numbers at the end. */
async function refused(tx, what) {
  await tx.query('INSERT INTO refusals (what, worker) VALUES ($1, $2)', [what, WORKER])
  return 0
}

async function transaction(work) {
  const tx = await pool.connect()
  try {
    await tx.query('BEGIN')
    const answer = await work(tx)
    await tx.query('COMMIT')
    return answer
  } catch (error) {
    await tx.query('ROLLBACK').catch(() => {})
    throw error
  } finally {
    tx.release()
  }
}

/** A job whose turn failed has its next one soon. */
async function again(job) {
  while (!stopping) {
    await job().catch((error) => {
      // A lock that could not be asked for, or was lost: nothing was written, or all of it.
      if (!stopping) console.error(`${WORKER}: ${error.message}`)
    })
  }
}

process.once('SIGTERM', () => {
  stopping = true
})
console.log('ready')
await Promise.all([again(cancelOrders), again(deleteCarts)])
await report.stop()
await locks.close()
redis?.destroy()
await pool.end()
