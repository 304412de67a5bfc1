/** Handlers of pg-boss that run once, on a real PostgreSQL. */
import type pg from 'pg'
import PgBoss from 'pg-boss'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { createOnce, isOncewardError, noEffect, type Once } from '../../src/core/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { onceWork } from '../../src/tasks/wrappers/once-work.ts'
import { quietPool } from '../sql-guards/quiet-pool.ts'
import { deferred } from './wrapper-kit.ts'

interface Charge {
  readonly order: string
}

await describeWith('postgres', 'handlers of pg-boss', ({ postgres }) => {
  let database: TestDatabase
  let pool: pg.Pool
  let boss: PgBoss
  let once: Once
  let queues = 0
  const store = () => postgresStore(pool, { autoMigrate: true })

  beforeAll(async () => {
    database = await postgres.createDatabase()
    pool = quietPool(database.url, 10)
    await pool.query('CREATE TABLE charges (queue text NOT NULL, order_id text NOT NULL)')
    boss = new PgBoss({ connectionString: database.url, supervise: false, schedule: false })
    boss.on('error', () => {})
    await boss.start()
    once = createOnce({ store: store(), scope: 'jobs' })
  }, 60_000)
  afterAll(async () => {
    await once?.close()
    await boss?.stop({ graceful: false, wait: true, timeout: 1000 })
    await pool?.end()
    await database?.drop()
  })

  const POLLING = { pollingIntervalSeconds: 0.5 }
  const queue = async () => {
    const name = `charges-${++queues}`
    await boss.createQueue(name)
    return name
  }
  const send = async (name: string, order: string, options: PgBoss.SendOptions = {}): Promise<string> =>
    (await boss.send(name, { order }, options)) ?? ''
  const stateOf = async (name: string, id: string) => (await boss.getJobById(name, id))?.state
  const CHARGE = 'INSERT INTO charges (queue, order_id) VALUES ($1, $2)'
  const charge = ({ name, data }: PgBoss.Job<Charge>) => pool.query(CHARGE, [name, data.order])
  /** Of one queue: what has expired may run on when its test is over. */
  const charges = async (name: string) =>
    (await pool.query('SELECT order_id FROM charges WHERE queue = $1 ORDER BY order_id', [name])).rows.map(
      ({ order_id }) => order_id,
    )
  /** A job that lives for a second, and whose first run lasts until the second delivery has begun: or the fifth, if they are slow. */
  const EXPIRES = { expireInSeconds: 1, retryLimit: 10, retryDelay: 0 }

  it('runs twice without the wrapper: an expired job is delivered again while the first run goes on', async () => {
    const name = await queue()
    const twice = deferred()
    let runs = 0
    const handler = async ([job]: PgBoss.Job<Charge>[]) => {
      if (++runs === 2) twice.resolve()
      await twice.promise
      if (job) await charge(job)
    }
    for (let worker = 0; worker < 2; worker++) await boss.work(name, POLLING, handler)
    await send(name, 'a', EXPIRES)
    await expect.poll(async () => (await charges(name)).slice(0, 2), { timeout: 10_000 }).toEqual(['a', 'a'])
    await boss.offWork(name)
  }, 20_000)

  it('runs an expired job once: the second delivery waits for the first run, and completes with its value', async () => {
    const name = await queue()
    const delivered = deferred()
    let deliveries = 0
    let runs = 0
    const work = onceWork(once, async (job: PgBoss.Job<Charge>, op) => {
      runs++
      expect(op.fence).toBeGreaterThan(0)
      await delivered.promise
      await charge(job)
      return { paid: job.data.order }
    })
    const handler = (jobs: PgBoss.Job<Charge>[]) => {
      if (++deliveries === 2) delivered.resolve()
      return work(jobs)
    }
    for (let worker = 0; worker < 2; worker++) await boss.work(name, POLLING, handler)
    const id = await send(name, 'a', EXPIRES)
    await expect.poll(() => stateOf(name, id), { timeout: 15_000 }).toBe('completed')
    expect([deliveries >= 2, runs, await charges(name)]).toEqual([true, 1, ['a']])
    expect((await boss.getJobById(name, id))?.output).toEqual({ paid: 'a' })
    await boss.offWork(name)
  }, 30_000)

  it('delivers a whole batch again when one job fails, and runs only that one again', async () => {
    const name = await queue()
    const runs: string[] = []
    const work = onceWork(once, async (job: PgBoss.Job<Charge>, op) => {
      const { order } = job.data
      runs.push(`${order} ${op.attempt}`)
      if (order === 'b' && op.attempt === 1) throw noEffect(new Error('the bank is closed'))
      await charge(job)
    })
    const ids: string[] = []
    for (const order of ['a', 'b', 'c']) ids.push(await send(name, order, { retryLimit: 3, retryDelay: 0 }))
    await boss.work(name, { ...POLLING, batchSize: 3 }, work)
    await expect
      .poll(() => Promise.all(ids.map((id) => stateOf(name, id))), { timeout: 15_000 })
      .toEqual(['completed', 'completed', 'completed'])
    expect(runs.sort()).toEqual(['a 1', 'b 1', 'b 2', 'c 1'])
    expect(await charges(name)).toEqual(['a', 'b', 'c'])
    await boss.offWork(name)
  }, 30_000)

  it('refuses a job whose effect is unknown in each delivery, without running it', async () => {
    const name = await queue()
    let runs = 0
    const errors: unknown[] = []
    const work = onceWork(once, async () => {
      runs++
      throw new Error('no answer from the bank')
    })
    await boss.work(name, POLLING, (jobs: PgBoss.Job<Charge>[]) =>
      work(jobs).catch((error: unknown) => {
        errors.push(error)
        throw error
      }),
    )
    const id = await send(name, 'a', { retryLimit: 1, retryDelay: 0 })
    await expect.poll(() => stateOf(name, id), { timeout: 15_000 }).toBe('failed')
    expect([runs, errors.length]).toEqual([1, 2])
    expect(errors.every((error) => isOncewardError(error, 'OUTCOME_UNKNOWN'))).toBe(true)
    await boss.offWork(name)
  }, 30_000)

  it('completes a job in the transaction of its effect: a crash before the commit undoes both', async () => {
    const name = await queue()
    let crash = true
    await boss.work(name, POLLING, async ([job]: PgBoss.Job<Charge>[]) => {
      if (!job) return
      const call = { key: ['pg-boss', job.name, job.id], input: job.data, allowVolatile: ['[2]'] }
      await once.transaction<void, pg.PoolClient>(call, async (tx) => {
        await tx.query(CHARGE, [job.name, job.data.order])
        const db = { executeSql: (text: string, values: unknown[]) => tx.query(text, values) }
        await boss.complete(job.name, job.id, { paid: job.data.order }, { db })
        if (crash) {
          crash = false
          throw new Error('crash')
        }
      })
    })
    const id = await send(name, 'a', { retryLimit: 2, retryDelay: 0 })
    await expect.poll(() => stateOf(name, id), { timeout: 15_000 }).toBe('completed')
    expect(crash).toBe(false)
    expect(await charges(name)).toEqual(['a'])
    await boss.offWork(name)
  }, 30_000)
})
