import pg from 'pg'
import postgres from 'postgres'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../../test-servers/index.mjs'
import type { Timers } from '../../core/clock.ts'
import { operationId } from '../../core/identity.ts'
import type { Claim, OperationId } from '../../core/operation.ts'
import type { ClaimReply } from '../../core/store.ts'
import { systemTimers } from '../../core/system.ts'
import {
  asks,
  claimed,
  heldBy,
  LONG_MS,
  outcomeOf,
  recordOf,
  someId,
  within,
} from '../../testing/case-kit.ts'
import { type PostgresStore, type PostgresStoreOptions, postgresStore } from './index.ts'

await describeWith('postgres', 'the PostgreSQL store', ({ postgres: server }) => {
  let database: TestDatabase
  let pool: pg.Pool
  let ends: (() => Promise<unknown>)[] = []

  beforeAll(async () => {
    database = await server.createDatabase()
  })
  afterAll(() => database?.drop())
  beforeEach(async () => {
    pool = openPool()
    await pool.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    await postgresStore(pool).migrate()
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
    ends = []
  })

  const openPool = (url = database.url, options: pg.PoolConfig = {}) => {
    const opened = new pg.Pool({ connectionString: url, max: 10, ...options })
    ends.push(() => opened.end())
    return opened
  }
  const open = (options: PostgresStoreOptions = {}, on = openPool()): PostgresStore<pg.PoolClient> => {
    const store = postgresStore<pg.PoolClient>(on, options)
    ends.push(() => store.close())
    return store
  }
  const claimOf = (reply: ClaimReply): Claim => {
    if (reply.state !== 'claimed') throw new Error(`the claim is granted, not ${reply.state}`)
    return reply.claim
  }
  const manyIds = (count: number) => Array.from({ length: count }, () => someId())

  it('takes a pool of either driver, and refuses anything else with the mend', async () => {
    const sql = postgres(database.url, { max: 2 })
    ends.push(() => sql.end())
    const store = postgresStore(sql)
    ends.push(() => store.close())
    claimOf(await store.claim(asks(someId())))
    const refused = (given: unknown) => () => postgresStore(given as pg.Pool)
    expect(refused(database.url)).toThrow(/given a text. Open the pool and pass it/)
    expect(refused(new pg.Client())).toThrow(/given a single client. Pass the pool/)
    await sql.begin(async (tx) => {
      expect(refused(tx)).toThrow(/given the `sql` of a transaction. Pass the root `sql`/)
    })
    for (const given of [undefined, null, {}, 7]) expect(refused(given)).toThrow(TypeError)
  })

  it('refuses options that mean nothing, and schemas that are more than a name', () => {
    const refused = (options: object) => () => postgresStore(pool, options)
    expect(refused({ tablePrefix: 'x' })).toThrow(/unknown field "tablePrefix"/)
    expect(refused({ maxBatch: 0 })).toThrow(/maxBatch must be a whole number from 1 to 2147483647, not 0/)
    for (const schema of ['a"b', 'A', '', 'a'.repeat(41), 'a;drop', 'ä', '1a']) {
      expect(refused({ schema })).toThrow(/schema must be/)
    }
  })

  it('sends the calls of concurrent callers in few statements, and a lone call at once', async () => {
    const store = open({}, pool)
    await store.get(someId())
    const sent = countQueries(pool)
    const ids = manyIds(100)
    const claims = (await Promise.all(ids.map((id) => store.claim(asks(id))))).map(claimOf)
    expect(sent.count, 'claims').toBeLessThanOrEqual(2)
    sent.count = 0
    await Promise.all(claims.map((claim) => store.renew(claim, LONG_MS)))
    expect(sent.count, 'renewals').toBeLessThanOrEqual(2)
    sent.count = 0
    await Promise.all(claims.map((claim) => store.complete(claim, outcomeOf('receipt'), LONG_MS)))
    expect(sent.count, 'completions').toBeLessThanOrEqual(2)
    sent.count = 0
    const replies = await Promise.all(ids.map((id) => store.claim(asks(id))))
    expect(replies.every((reply) => reply.state === 'done')).toBe(true)
    expect(sent.count, 'replays').toBeLessThanOrEqual(2)
    sent.count = 0
    await store.claim(asks(someId()))
    expect(sent.count, 'a lone claim').toBe(1)
  })

  it('keeps what the calls of a batch do not have in common apart', async () => {
    const store = open()
    const ids = ['shop', 'shop', 'bank'].map((scope, index) => operationId(scope, `key-${index}`))
    const claims = await Promise.all(
      ids.map(async (id, index) =>
        claimOf(
          await store.claim(
            asks(id, {
              leaseMs: LONG_MS + index,
              retentionMs: LONG_MS - index,
              onCrash: index === 1 ? 'rerun' : 'hold',
            }),
          ),
        ),
      ),
    )
    for (const [index, id] of ids.entries()) {
      const record = await recordOf(store, id)
      expect(record).toMatchObject({
        id,
        onCrash: index === 1 ? 'rerun' : 'hold',
        retentionMs: LONG_MS - index,
      })
      expect(record.leaseUntil - record.createdAt).toBe(LONG_MS + index)
    }
    const failure = { name: 'Declined', message: 'no funds', effect: 'none' } as const
    const outcomes = [
      { kind: 'failure', failure },
      { kind: 'failure', failure },
      outcomeOf('receipt'),
    ] as const
    await Promise.all(
      claims.map((claim, index) => store.complete(claim, outcomes[index] ?? outcomes[0], LONG_MS)),
    )
    for (const [index, id] of ids.entries()) {
      const { outcome, history } = await recordOf(store, id)
      expect(outcome?.kind).toBe(outcomes[index]?.kind)
      expect(history.at(-1)?.event).toBe(index < 2 ? 'failed' : 'completed')
    }
    const twins = (await Promise.all(manyIds(2).map((id) => store.claim(asks(id))))).map(claimOf)
    await Promise.all(twins.map((claim) => store.complete(claim, outcomes[0], LONG_MS)))
    for (const { id } of twins) expect((await recordOf(store, id)).outcome).toEqual(outcomes[0])
  })

  it('keeps the newest 16 events of a history, also where a fast completion would add the next', async () => {
    const store = open()
    const id = someId()
    for (let attempt = 1; attempt <= 8; attempt++) await store.release(await claimed(store, id))
    const claim = await claimed(store, id)
    expect(await store.complete(claim, outcomeOf('receipt'), LONG_MS)).toBe(true)
    const { history } = await recordOf(store, id)
    expect(history).toHaveLength(16)
    expect(history.slice(-2).map((entry) => [entry.event, entry.attempt])).toEqual([
      ['claimed', 9],
      ['completed', 9],
    ])
  })

  it('one call that the database cannot take does not fail the others of its batch', async () => {
    const store = open()
    const ids = manyIds(20)
    const replies = await Promise.allSettled(
      ids.map((id, index) => store.claim(asks(id, index === 7 ? { fingerprint: 'a\0b' } : {}))),
    )
    for (const [index, reply] of replies.entries()) {
      if (index === 7) expect(reply).toMatchObject({ status: 'rejected', reason: { effect: 'none' } })
      else expect(reply).toMatchObject({ status: 'fulfilled', value: { state: 'claimed' } })
    }
  })

  it('of 200 keys that two pools race for, each is granted once and completed', async () => {
    const stores = [open(), open()]
    const ids = manyIds(200)
    const tries = stores.flatMap((store, index) =>
      // Batches that overlap in both directions.
      (index === 0 ? ids : [...ids].reverse()).map(async (id) => {
        const reply = await store.claim(asks(id))
        if (reply.state !== 'claimed') return 0
        expect(await store.renew(reply.claim, LONG_MS)).toBe(true)
        expect(await store.complete(reply.claim, outcomeOf(id.key), LONG_MS)).toBe(true)
        return 1
      }),
    )
    const granted = await Promise.all(tries)
    expect(granted.reduce<number>((sum, one) => sum + one, 0)).toBe(200)
    expect(await open().stats()).toMatchObject({ done: 200, running: 0 })
  })

  it('answers a heartbeat by a HOT update, which writes no index', async () => {
    const store = open()
    const claims = await Promise.all(manyIds(50).map((id) => claimed(store, id)))
    const updates = async () => {
      await pool.query('SELECT pg_stat_force_next_flush()').catch(() => {})
      const { rows } = await pool.query(
        "SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'onceward_operations'",
      )
      return rows[0] as { all: number; hot: number }
    }
    /** The share of HOT updates among 250. Heartbeats come one here and one there, few of one page at the same moment. */
    const shareOfHot = async () => {
      await pool.query('VACUUM onceward_operations')
      const before = await updates()
      for (let beat = 0; beat < 5; beat++) {
        for (let part = 0; part < 10; part++) {
          const some = claims.filter((_, index) => index % 10 === part)
          await Promise.all(some.map((claim) => store.renew(claim, LONG_MS)))
        }
      }
      let after = await updates()
      while (after.all < before.all + 250) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        after = await updates()
      }
      return (after.hot - before.hot) / (after.all - before.all)
    }
    // Whoever looks at the table for long (autovacuum does) keeps room from being used again meanwhile.
    const shares: number[] = []
    while (shares.length < 6 && !shares.some((share) => share > 0.8)) shares.push(await shareOfHot())
    expect(Math.max(...shares)).toBeGreaterThan(0.8)
  }, 90_000)

  it('notifies nobody while nobody waits, and pushes the end of a contended operation', async () => {
    const listener = new pg.Client({ connectionString: database.url })
    await listener.connect()
    ends.push(() => listener.end())
    const told: string[] = []
    listener.on('notification', ({ payload }) => void told.push(payload ?? ''))
    await listener.query('LISTEN onceward_public')
    const store = open()
    const quiet = await claimed(store, someId())
    await store.complete(quiet, outcomeOf('receipt'), LONG_MS)
    const contended = await claimed(store, someId())
    expect((await open().claim(asks(contended.id))).state).toBe('running')
    await store.complete(contended, outcomeOf('receipt'), LONG_MS)
    await within(
      15_000,
      'the end is told',
      until(() => told.length > 0),
    )
    expect(told).toEqual([contended.id.digest])
  })

  it('wakes a waiter of another process by push alone', async () => {
    // Looks come after longer and longer pauses; here they end with those of 50 ms.
    const timers: Timers = {
      after: (ms, run, options) => (ms > 50 && ms < 300 ? () => {} : systemTimers.after(ms, run, options)),
    }
    const [a, b] = [open(), open({ timers })]
    const claim = await claimed(a, someId())
    expect((await b.claim(asks(claim.id))).state).toBe('running')
    const waiting = b.watch(claim.id, new AbortController().signal)
    const push = async () => (await b.doctor()).find((one) => one.check === 'push')?.message ?? ''
    await untilAsync(async () => /woken by notifications/.test(await push()))
    await new Promise((resolve) => setTimeout(resolve, 400))
    await a.complete(claim, outcomeOf('receipt'), LONG_MS)
    await within(15_000, 'the waiter is woken', waiting)
  })

  it('counts a lease from the claim, not from the beginning of the transaction it is made in', async () => {
    const store = open()
    const id = someId()
    const leaseMs = 20_000
    await store.transaction(async (tx) => {
      await tx.query('SELECT pg_sleep(0.5)')
      const before = (await tx.query('SELECT extract(epoch FROM now()) * 1000 AS now')).rows[0].now
      claimOf(await store.claimIn(tx, asks(id, { leaseMs })))
      const { rows } = await tx.query('SELECT lease_until AS until FROM onceward_operations')
      // A lease is written in whole ms.
      expect(Number(rows[0].until) - Math.floor(Number(before))).toBeGreaterThanOrEqual(leaseMs + 500)
    })
  })

  for (const isolation of ['serializable', 'repeatable read']) {
    it(`keeps its own statements READ COMMITTED where the default is ${isolation}`, async () => {
      await pool.query(`ALTER DATABASE ${database.name} SET default_transaction_isolation = '${isolation}'`)
      try {
        const stores = [open(), open()] as const
        const id = someId()
        const replies = await Promise.all(
          Array.from({ length: 40 }, (_, index) => (stores[index % 2] ?? stores[0]).claim(asks(id))),
        )
        expect(replies.filter((reply) => reply.state === 'claimed')).toHaveLength(1)
        expect(replies.filter((reply) => reply.state === 'running')).toHaveLength(39)
        const runs = await Promise.all(
          Array.from({ length: 10 }, (_, index) => {
            const store = stores[index % 2] ?? stores[0]
            return store.transaction(async (tx) => {
              expect((await tx.query('SHOW transaction_isolation')).rows[0]).toEqual({
                transaction_isolation: 'read committed',
              })
              return orderIn(store, tx, operationId('shop', 'one'))
            })
          }),
        )
        expect(runs.filter((state) => state === 'claimed')).toHaveLength(1)
        expect(await stores[0].doctor()).toContainEqual(
          expect.objectContaining({ check: 'isolation', level: 'warn' }),
        )
      } finally {
        await pool.query(`ALTER DATABASE ${database.name} RESET default_transaction_isolation`)
      }
    })
  }

  it('stores and replays 8 MB', async () => {
    const store = open()
    const value = Buffer.alloc(8 * 1024 * 1024, 'onceward\0\xff')
    const claim = await claimed(store, someId())
    expect(await store.complete(claim, { kind: 'value', value }, LONG_MS)).toBe(true)
    const reply = await open().claim(asks(claim.id))
    if (reply.state !== 'done' || reply.outcome.kind !== 'value') throw new Error('a value is replayed')
    expect(Buffer.compare(reply.outcome.value, value)).toBe(0)
  })

  it('takes large values of many callers apart, and answers each', async () => {
    const store = open()
    const claims = await Promise.all(manyIds(12).map((id) => claimed(store, id)))
    const value = new Uint8Array(1024 * 1024).fill(7)
    const ended = await Promise.all(
      claims.map((claim) => store.complete(claim, { kind: 'value', value }, LONG_MS)),
    )
    expect(ended.every(Boolean)).toBe(true)
    for (const { id } of claims) {
      const { outcome } = await recordOf(store, id)
      expect(outcome?.kind === 'value' && outcome.value.length).toBe(value.length)
    }
  })

  it('does not see what the caller does to the bytes before the batch is sent', async () => {
    const store = open()
    const claim = await claimed(store, someId())
    const value = new TextEncoder().encode('receipt')
    const ended = store.complete(claim, { kind: 'value', value }, LONG_MS)
    value.fill(0)
    await ended
    const { outcome } = await recordOf(store, claim.id)
    expect(outcome?.kind === 'value' && Buffer.from(outcome.value).toString()).toBe('receipt')
  })

  it('lists and purges ten thousand records in bounded batches', async () => {
    const store = open()
    await pool.query(`
      INSERT INTO onceward_operations (digest, scope, key, state, on_crash, holds, fence, attempt, created_at, updated_at,
        lease_until, retention_ms, expires_at, asks, next_ask_at, duplicates, detail, history)
      SELECT lpad(n::text, 43, 'd'), CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'bulk' END, 'key-' || n, 'done', 'hold', false,
        n, 1, 1000 + n / 10, 1000, 1000, 1000, 9000000000000, 0, 0, 0,
        '{"outcome":{"kind":"unreplayable","reason":"bulk","length":null}}', '[]'
      FROM generate_series(1, 12000) AS n`)
    const rare = await store.list({ scope: 'rare' })
    expect(rare.records.map((record) => record.id.key)).toEqual(
      Array.from({ length: 12 }, (_, index) => `key-${12000 - index * 1000}`),
    )
    const seen = new Set<string>()
    let cursor: string | undefined
    do {
      const page = await store.list({ limit: 1000, ...(cursor === undefined ? {} : { cursor }) })
      for (const record of page.records) seen.add(record.id.key)
      cursor = page.cursor
    } while (cursor !== undefined)
    expect(seen.size).toBe(12_000)
    await pool.query('UPDATE onceward_operations SET expires_at = 2000')
    expect((await store.doctor()).find((one) => one.check === 'expired')?.level).toBe('warn')
    const purged = await Promise.all([store.purge(700), open().purge(700)])
    expect(purged).toEqual([700, 700])
    while ((await store.purge()) > 0);
    expect(await store.stats()).toMatchObject({ done: 0 })
  })

  it('tells a row that no store wrote, of that operation only', async () => {
    const store = open()
    const [good, bad] = [await heldBy(store, someId()), await heldBy(store, someId())]
    await pool.query("UPDATE onceward_operations SET history = '[' WHERE digest = $1", [bad.id.digest])
    const replies = await Promise.allSettled([good, bad].map(({ id }) => store.claim(asks(id))))
    expect(replies[0]).toMatchObject({ status: 'fulfilled', value: { state: 'held' } })
    expect(replies[1]).toMatchObject({
      status: 'rejected',
      reason: {
        code: 'STORE_CORRUPT',
        effect: 'unknown',
        message: expect.stringMatching(/restore that row/),
      },
    })
    await expect(store.get(bad.id)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('plans stay by the key when the table grows from nothing under a connection that is used already', async () => {
    const store = open({}, openPool(database.url, { max: 1 }))
    for (let round = 0; round < 8; round++) {
      const claim = await claimed(store, someId())
      await store.complete(claim, outcomeOf('receipt'), LONG_MS)
    }
    await pool.query(`
      INSERT INTO onceward_operations (digest, scope, key, state, on_crash, holds, fence, attempt, created_at, updated_at,
        lease_until, retention_ms, asks, next_ask_at, duplicates, history)
      SELECT lpad(n::text, 43, 'd'), 'bulk', 'key-' || n, 'running', 'hold', true, n, 1, n, n, 9000000000000, 1000, 0, 0, 0, '[]'
      FROM generate_series(1, 20000) AS n`)
    const scans = async () => {
      await pool.query('SELECT pg_stat_force_next_flush()').catch(() => {})
      const { rows } = await pool.query(
        "SELECT coalesce(sum(seq_scan), 0)::int AS scans FROM pg_stat_user_tables WHERE relname = 'onceward_operations'",
      )
      return (rows[0] as { scans: number }).scans
    }
    const before = await scans()
    for (let round = 0; round < 5; round++) {
      const claim = await claimed(store, someId())
      await store.renew(claim, LONG_MS)
      await store.complete(claim, outcomeOf('receipt'), LONG_MS)
      expect((await store.claim(asks(claim.id))).state).toBe('done')
    }
    await store.get(someId())
    expect((await scans()) - before).toBe(0)
  })
})

async function orderIn(
  store: PostgresStore<pg.PoolClient>,
  tx: pg.PoolClient,
  id: OperationId,
): Promise<string> {
  const reply = await store.claimIn(tx, asks(id))
  if (reply.state === 'claimed') await store.completeIn(tx, reply.claim, outcomeOf('receipt'), LONG_MS)
  return reply.state
}

/** Counts the statements that a pool is given. */
function countQueries(pool: pg.Pool): { count: number } {
  const sent = { count: 0 }
  pool.on('acquire', () => void sent.count++)
  return sent
}

function until(condition: () => boolean): Promise<void> {
  return untilAsync(async () => condition())
}

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
}
