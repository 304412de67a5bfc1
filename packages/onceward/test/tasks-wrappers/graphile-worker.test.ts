/** Tasks of Graphile Worker that run once, on a real PostgreSQL. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Logger, makeWorkerUtils, type Runner, run, type TaskList, type WorkerUtils } from 'graphile-worker'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { createOnce, noEffect, type Once } from '../../src/core/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { onceTask } from '../../src/tasks/wrappers/once-task.ts'
import { quietPool } from '../sql-guards/quiet-pool.ts'
import { deferred, killedWorker } from './wrapper-kit.ts'

interface Charge {
  readonly order: string
}

const SILENT = new Logger(() => () => {})

await describeWith('postgres', 'tasks of Graphile Worker', ({ postgres }) => {
  let database: TestDatabase
  let pool: pg.Pool
  let utils: WorkerUtils
  let once: Once
  const runners: Runner[] = []

  beforeAll(async () => {
    database = await postgres.createDatabase()
    pool = quietPool(database.url, 10)
    utils = await makeWorkerUtils({ pgPool: pool, logger: SILENT })
    await utils.migrate()
    await postgresStore(pool).migrate()
  }, 60_000)
  beforeEach(() => {
    once = createOnce({ store: postgresStore(pool), scope: 'jobs' })
  })
  afterEach(async () => {
    await Promise.all(runners.splice(0).map((runner) => runner.stop().catch(() => {})))
    await once.close()
    await pool.query('DELETE FROM graphile_worker._private_jobs')
  }, 30_000)
  afterAll(async () => {
    await utils?.release()
    await pool?.end()
    await database?.drop()
  })

  const start = async (taskList: TaskList) => {
    const runner = await run({
      connectionString: database.url,
      taskList,
      noHandleSignals: true,
      pollInterval: 100,
      concurrency: 1,
      logger: SILENT,
    })
    runners.push(runner)
    return runner
  }
  const jobs = async () => (await pool.query('SELECT * FROM graphile_worker._private_jobs')).rows
  const finished = () => expect.poll(async () => (await jobs()).length, { timeout: 10_000 }).toBe(0)
  /** As an operator does after a worker was lost: it may be running all the same. */
  const unlock = async () => {
    const locked = await expect.poll(async () => (await jobs())[0]?.locked_by, { timeout: 10_000 })
    await locked.toBeTruthy()
    await utils.forceUnlockWorkers((await jobs()).map(({ locked_by }) => locked_by))
  }
  /** A failed job waits for seconds. */
  const retryNow = async () => {
    await expect.poll(async () => (await jobs())[0]?.last_error, { timeout: 10_000 }).toBeTruthy()
    await pool.query('UPDATE graphile_worker._private_jobs SET run_at = now()')
  }

  it('runs twice without the wrapper: an unlocked job is taken while its first worker still runs', async () => {
    const effects: string[] = []
    const twice = deferred()
    const charge = async (payload: unknown) => {
      effects.push((payload as Charge).order)
      if (effects.length === 2) twice.resolve()
      await twice.promise
    }
    await start({ charge })
    await utils.addJob('charge', { order: 'a' })
    await unlock()
    await start({ charge })
    await twice.promise
    expect(effects).toEqual(['a', 'a'])
  }, 30_000)

  it('runs an unlocked job once: the second worker waits for the first', async () => {
    const effects: string[] = []
    const ends = deferred()
    const again = deferred()
    const charge = onceTask(once, async (payload: Charge, _, op) => {
      expect(op.downstreamKey('bank')).toMatch(/^[\w-]{43}$/)
      effects.push(payload.order)
      await ends.promise
    })
    await start({ charge: charge })
    await utils.addJob('charge', { order: 'a' })
    await unlock()
    await start({
      charge: (payload, helpers) => {
        again.resolve()
        return charge(payload, helpers)
      },
    })
    await again.promise
    ends.resolve()
    await finished()
    expect(effects).toEqual(['a'])
  }, 30_000)

  it('runs again what had no effect, and not what may have had one', async () => {
    const runs: string[] = []
    await start({
      charge: onceTask(once, async ({ order }: Charge, _, op) => {
        runs.push(`${order} ${op.attempt}`)
        if (order === 'a' && op.attempt === 1) throw noEffect(new Error('the bank is closed'))
        if (order === 'b') throw new Error('no answer from the bank')
      }),
    })
    await utils.addJob('charge', { order: 'a' })
    await retryNow()
    await finished()
    await utils.addJob('charge', { order: 'b' })
    await retryNow()
    await expect.poll(async () => (await jobs())[0]?.attempts, { timeout: 10_000 }).toBe(2)
    await expect.poll(async () => (await jobs())[0]?.last_error, { timeout: 10_000 }).toMatch(/held|outcome/i)
    expect(runs).toEqual(['a 1', 'a 2', 'b 1'])
  }, 30_000)

  it('finds out by reconcile what became of the job of a killed worker: one effect, and the job completes', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-jobs-'))
    try {
      const sink = join(folder, 'sink')
      await utils.addJob('charge', { order: 'a' })
      const order = { queue: 'graphile', url: database.url, name: 'charge', sink, leaseMs: 400 } as const
      expect(await killedWorker(order)).toBe('SIGKILL')
      await unlock()
      let runs = 0
      const asked: string[] = []
      const charge = onceTask(once, async () => runs++, {
        reconcile: ({ reason }) => {
          asked.push(reason)
          return { outcome: 'done', value: readFileSync(sink, 'utf8') }
        },
      })
      await start({ charge: charge })
      await finished()
      expect([runs, asked.length, readFileSync(sink, 'utf8')]).toEqual([0, 1, 'a\n'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  }, 40_000)

  it('takes a job whose payload was replaced for another', async () => {
    const runs: string[] = []
    const replace = { jobKey: 'invoice-7', maxAttempts: 5 }
    await start({
      charge: onceTask(once, async ({ order }: Charge) => {
        runs.push(order)
        if (order === 'wrong') throw new Error('no such order')
      }),
    })
    await utils.addJob('charge', { order: 'wrong' }, replace)
    await expect.poll(async () => (await jobs())[0]?.last_error, { timeout: 10_000 }).toBeTruthy()
    await utils.addJob('charge', { order: 'right' }, replace)
    await finished()
    expect(runs).toEqual(['wrong', 'right'])
  }, 30_000)
})
