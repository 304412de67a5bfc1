/** What only PostgreSQL has to prove: heartbeats that write no index, and claims that read as much as they take. */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWhere, type PostgresServer, startPostgres } from '../../../../test-servers/index.mjs'
import { systemRandom } from '../../src/core/system.ts'
import { openDatabase } from '../../src/drivers/database/index.ts'
import { claimTasks, renewTasks } from '../../src/tasks/claim-work.ts'
import { createTasks } from '../../src/tasks/index.ts'
import { taskLedger } from '../../src/tasks/task-ledger.ts'
import { taskOf } from './tasks-kit.ts'

// A server of its own: a transaction that is open elsewhere on it keeps pages from being cleared, and updates from being HOT.
await describeWhere('postgres', 'tasks on PostgreSQL', () => {
  let server: PostgresServer
  let pool: pg.Pool
  beforeAll(async () => {
    server = await startPostgres()
    const database = await server.createDatabase()
    pool = new pg.Pool({ connectionString: database.url, max: 4 })
    await createTasks({ db: pool }).migrate()
  }, 120_000)
  afterAll(async () => {
    await pool?.end()
    await server?.stop()
  })
  const numbers = async (text: string) => {
    const { rows } = await pool.query(text)
    return Object.fromEntries(Object.entries(rows[0] as object).map(([name, value]) => [name, Number(value)]))
  }

  it('renews leases by HOT updates: no heartbeat writes an index', async () => {
    // Statistics are sent at the end of a session or after a while; on one connection they can be flushed.
    const one = new pg.Pool({ ...pool.options, max: 1 })
    try {
      const tasks = createTasks({ db: one })
      await tasks.create(Array.from({ length: 50 }, () => taskOf()))
      const ledger = taskLedger(openDatabase(one, {}, 'a test'), systemRandom)
      const claimed = await claimTasks(ledger, { actions: ['work'], most: 50, owner: 'w', leaseMs: 60_000 })
      const looked = async () => {
        await one.query('SELECT pg_stat_force_next_flush()')
        await one.query('SELECT pg_stat_clear_snapshot()')
        const { rows } = await one.query(
          "SELECT n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = 'onceward_tasks'",
        )
        return { updates: Number(rows[0].updates), hot: Number(rows[0].hot) }
      }
      const before = await looked()
      for (let beat = 0; beat < 20; beat++) {
        const beats = claimed.map(({ id, attempt }) => ({ id, owner: 'w', attempt, lease: 60_000 + beat }))
        expect((await renewTasks(ledger, beats)).size).toBe(50)
      }
      const after = await looked()
      const updates = after.updates - before.updates
      expect(updates).toBe(1000)
      // A page that has no room left is cleared at the next beat.
      expect((after.hot - before.hot) / updates).toBeGreaterThan(0.9)
    } finally {
      await one.end()
    }
  })

  it('creates what several calls name in different orders without a deadlock', async () => {
    const tasks = createTasks({ db: pool })
    const deadlocks = async () => {
      await pool.query('SELECT pg_stat_force_next_flush()')
      const { deadlocks: count } = await numbers(
        'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
      )
      return count as number
    }
    const before = await deadlocks()
    // More than one statement takes.
    const orders = Array.from({ length: 2500 }, (_, index) => taskOf({ taskId: `order-${index}` }))
    const made = await Promise.all([tasks.create(orders), tasks.create([...orders].reverse())])
    expect(made.flat().filter(({ outcome }) => outcome === 'created')).toHaveLength(2500)
    for (const [at, created] of made.entries()) {
      const asked = at === 0 ? orders : [...orders].reverse()
      expect(created.map(({ task }) => task.taskId)).toEqual(asked.map(({ taskId }) => taskId))
    }
    for (let connection = 0; connection < 4; connection++) await deadlocks()
    expect((await deadlocks()) - before).toBe(0)
  })

  it('claims by reading about as many entries as it takes, whatever the backlog and its neighbours', async () => {
    await pool.query('TRUNCATE onceward_tasks')
    await pool.query(`INSERT INTO onceward_tasks (id, user_id, action_type, state, on_crash, run_at, attempt,
        max_attempts, fence, lease_until, created_at, changed_at, history)
      SELECT gen_random_uuid(), 'u', CASE WHEN n % 2 = 0 THEN 'work' ELSE 'nobody' END, 'pending', 'hold', n, 0, 5, 0, 0,
        0, 0, '[]' FROM generate_series(1, 20000) AS n`)
    const ledger = taskLedger(openDatabase(pool, {}, 'a test'), systemRandom)
    const reads = `SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) AS read FROM pg_stat_xact_user_tables
      WHERE relname = 'onceward_tasks'`
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const before = Number((await client.query(reads)).rows[0].read)
      const { rows } = await client.query(
        `SELECT count(*) FROM onceward_task_claim('["work"]', 50, 'w', 1000)`,
      )
      expect(Number(rows[0].count)).toBe(50)
      expect(Number((await client.query(reads)).rows[0].read) - before).toBeLessThan(300)
      await client.query('ROLLBACK')
    } finally {
      client.release()
    }
    expect(
      await claimTasks(ledger, { actions: ['none', 'work'], most: 3, owner: 'w', leaseMs: 1 }),
    ).toHaveLength(3)
    expect(await numbers('SELECT count(*) AS count FROM onceward_tasks WHERE state = $$running$$')).toEqual({
      count: 3,
    })
  })

  it('ends attempts and renews them by reading these alone, however many others run', async () => {
    await pool.query('TRUNCATE onceward_tasks')
    const tasks = createTasks({ db: pool })
    const client = new pg.Client(pool.options)
    await client.connect()
    try {
      const settle = (ids: readonly string[]) =>
        client.query('SELECT * FROM onceward_task_settle($1)', [
          JSON.stringify(
            ids.map((id) => ({ id, owner: 'w', attempt: 1, state: 'done', attempts: 5, finished: 1 })),
          ),
        ])
      const renew = (ids: readonly string[]) =>
        client.query('SELECT * FROM onceward_task_renew($1)', [
          JSON.stringify(ids.map((id) => ({ id, owner: 'w', attempt: 1, lease: 90_000 }))),
        ])
      // Their plans are made while there is nothing yet, as in the first moments of a worker.
      await settle([])
      await renew([])
      await tasks.create(Array.from({ length: 1000 }, () => taskOf()))
      const claimed = await client.query(`SELECT id FROM onceward_task_claim('["work"]', 1000, 'w', 60000)`)
      const ids = claimed.rows.slice(0, 20).map(({ id }) => id as string)
      const reads = `SELECT sum(idx_tup_fetch + seq_tup_read) AS read FROM pg_stat_xact_user_tables
        WHERE relname = 'onceward_tasks'`
      for (const call of [renew, settle]) {
        await client.query('BEGIN')
        const before = Number((await client.query(reads)).rows[0].read)
        expect((await call(ids)).rows).toHaveLength(20)
        expect(Number((await client.query(reads)).rows[0].read) - before).toBeLessThan(50)
        await client.query('COMMIT')
      }
    } finally {
      await client.end()
      await tasks.close()
    }
  })

  it('tells what it has ended, and gives back what it was given, where the answer to both was lost', async () => {
    await pool.query('TRUNCATE onceward_tasks')
    const lossy = new pg.Pool({ ...pool.options, max: 4 })
    let lost = 0
    lossy.on('connect', (client) => {
      const query = client.query.bind(client) as (config: { text: string }) => Promise<unknown>
      Object.assign(client, {
        async query(config: { text: string }) {
          const answer = await query(config)
          if (lost > 0 || !/onceward_task_settle.*onceward_task_claim/s.test(config.text ?? '')) return answer
          lost++
          throw new Error('Connection terminated unexpectedly')
        },
      })
    })
    const tasks = createTasks({ db: lossy })
    try {
      const runs: string[] = []
      const created = await tasks.create(Array.from({ length: 20 }, () => taskOf()))
      const worker = tasks.worker({
        handlers: { work: (task) => void runs.push(task.id) },
        pollMs: 10,
        concurrency: 1,
      })
      for (const { task } of created) {
        expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({ outcome: 'done', value: undefined })
      }
      await worker.stop()
      expect(lost).toBe(1)
      expect([...runs].sort()).toEqual(created.map(({ task }) => task.id).sort())
      const found = await Promise.all(runs.map((id) => tasks.get(id)))
      const released = found.filter((task) => task?.attempt === 2)
      expect(released).toMatchObject([{ maxAttempts: 6, history: [{ event: 'released', attempt: 1 }] }])
      expect(found.filter((task) => task?.attempt === 1 && task.history.length === 0)).toHaveLength(19)
      expect((await tasks.stats()).seen).toMatchObject({ done: 20, lost: 0 })
    } finally {
      await tasks.close()
      await lossy.end()
    }
  })

  it('gives back what it was given in an answer that was lost: it is run, and not held', async () => {
    await pool.query('TRUNCATE onceward_tasks')
    const lossy = new pg.Pool({ ...pool.options, max: 4 })
    let isLost = false
    lossy.on('connect', (client) => {
      const query = client.query.bind(client) as (config: { text: string }) => Promise<unknown>
      Object.assign(client, {
        async query(config: { text: string }) {
          const answer = await query(config)
          if (isLost || !config.text?.includes('onceward_task_claim')) return answer
          isLost = true
          throw new Error('Connection terminated unexpectedly')
        },
      })
    })
    const troubles: unknown[] = []
    const tasks = createTasks({ db: lossy, observer: ({ error }) => void (error && troubles.push(error)) })
    try {
      let runs = 0
      const { task } = await tasks.create(taskOf())
      tasks.worker({
        handlers: {
          work: () => {
            runs++
          },
        },
        pollMs: 10,
      })
      expect(await tasks.result(task.id, { waitMs: 10_000 })).toEqual({ outcome: 'done', value: undefined })
      expect(runs).toBe(1)
      expect(troubles[0]).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'unknown' })
      const found = await tasks.get(task.id)
      expect(found?.history).toMatchObject([{ event: 'released', attempt: 1 }])
      // The attempt that never was does not count.
      expect(found).toMatchObject({ attempt: 2, maxAttempts: 6 })
    } finally {
      await tasks.close()
      await lossy.end()
    }
  })
})
