import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type PostgresServer,
  startPostgres,
  type TestDatabase,
} from '../../../../../test-servers/index.mjs'
import { systemRandom } from '../../core/system.ts'
import { textArray } from '../../drivers/pg/index.ts'
import { LONG_MS, within } from '../../testing/case-kit.ts'
import {
  asksFor,
  granted,
  heldBy,
  reads,
  refused,
  someKey,
  stillHolds,
  waitsFor,
} from '../../testing/lock-kit.ts'
import { storedKey } from '../lock-columns.ts'
import { type PostgresLocks, type PostgresLocksOptions, postgresLocks } from './index.ts'
import { lockStatements } from './lock-statements.ts'

// On a busy machine a server takes its time for what it brings to the disk.
vi.setConfig({ testTimeout: 60_000 })

await describeWhere('postgres', 'locks in PostgreSQL when things break', () => {
  let server: PostgresServer
  let database: TestDatabase
  let proxy: FaultProxy
  let direct: pg.Pool
  const pools: pg.Pool[] = []
  const opened: PostgresLocks[] = []

  beforeAll(async () => {
    server = await startPostgres({ durable: true, password: 'hunter2secret' })
  }, 120_000)
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(async () => {
    database = await server.createDatabase()
    proxy = await faultProxy({ target: server })
    direct = openPool(database.url)
    await postgresLocks(direct).migrate()
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((locks) => locks.close()))
    await Promise.all(pools.splice(0).map((pool) => pool.end().catch(() => {})))
    await proxy.stop()
    await database.drop()
  })

  const openPool = (connectionString: string, options: pg.PoolConfig = {}) => {
    const pool = new pg.Pool({ connectionString, max: 10, ...options })
    pools.push(pool)
    return pool
  }
  const open = (options: PostgresLocksOptions = {}, url = database.url) => {
    const locks = postgresLocks(openPool(url), options)
    opened.push(locks)
    return locks
  }
  const unavailable = (message: RegExp) => ({
    code: 'STORE_UNAVAILABLE',
    effect: 'none',
    retryable: true,
    message: expect.stringMatching(message),
  })
  /** Asks until the server answers, under the same token, as the engine does. */
  const untilAnswered = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if ((error as { code?: string }).code !== 'STORE_UNAVAILABLE') throw error
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
  const count = async (sql: string) => Number((await direct.query(sql)).rows[0]?.count)
  const until = async (condition: () => Promise<boolean>) => {
    while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  /** Those whose LISTEN has ended: it is shown from its beginning. */
  const LISTENING = `SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'`

  it('tells what is wrong with the address, the user or the database, and no password', async () => {
    const { host, pathname } = new URL(database.url)
    const cases = [
      [`postgres://postgres:wrong-hunter2secret@${host}${pathname}`, /check the user, its password/],
      [database.url.replace(pathname, '/nowhere'), /there is no such database/],
      ['postgres://postgres:hunter2secret@127.0.0.1:1/db', /cannot be reached.*check that it runs/],
    ] as const
    for (const [url, mend] of cases) {
      const locks = open({}, url)
      const error = await locks.acquire(asksFor(someKey())).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject(unavailable(mend))
      expect(`${error} ${locks.where}`).not.toContain('hunter2secret')
    }
  })

  it('tells that there is no schema and how it is made, and makes it by the first use where asked', async () => {
    const schema = 'elsewhere'
    const without = open({ schema })
    const held = { key: 'k', token: 't' }
    for (const call of [
      () => without.acquire(asksFor('k')),
      () => without.extend([{ ...held, ttlMs: 1000 }]),
      () => without.release(held),
      () => without.inspect('k'),
    ]) {
      await expect(call()).rejects.toMatchObject({
        code: 'SCHEMA_MISSING',
        effect: 'none',
        message: expect.stringMatching(/onceward migrate --store URL/),
      })
    }
    const eight = Array.from({ length: 8 }, () => open({ schema, autoMigrate: true }))
    const replies = await Promise.all(eight.map((locks) => locks.acquire(asksFor('k'))))
    expect(replies.filter((reply) => reply.granted)).toHaveLength(1)
    expect(await without.migrate()).toEqual([])
  })

  it('tells that the server is read-only, that the pool was closed, and that the locks were', async () => {
    const url = `${database.url}?options=-c%20default_transaction_read_only%3Don`
    await expect(open({}, url).acquire(asksFor('k'))).rejects.toMatchObject({
      code: 'STORE_READ_ONLY',
      effect: 'none',
    })
    const pool = openPool(database.url)
    const locks = postgresLocks(pool)
    await granted(locks, asksFor(someKey()))
    await pool.end()
    await expect(locks.acquire(asksFor('k'))).rejects.toMatchObject(unavailable(/./))
    await locks.close()
    await expect(locks.acquire(asksFor('k'))).rejects.toMatchObject({ code: 'CLOSED', effect: 'none' })
    for (const given of [undefined, database.url, new pg.Client()])
      expect(() => postgresLocks(given as never)).toThrow(/postgresLocks needs a pool/)
  })

  it('keeps grants, places and fences when the server is killed and starts again', async () => {
    const locks = open()
    const held = await heldBy(locks, someKey())
    const waiting = waitsFor(held.key)
    await refused(locks, waiting, 'another holds the lock')
    await server.restart()
    expect(await untilAnswered(() => locks.extend([{ ...held, ttlMs: LONG_MS }]))).toEqual([true])
    expect(await locks.release(held)).toEqual({ released: true })
    await refused(locks, asksFor(held.key), 'another was there first')
    const next = await granted(locks, waiting)
    expect(next.fence).toBeGreaterThan(held.fence ?? Number.POSITIVE_INFINITY)
  })

  it('a call whose reply was lost is asked again under its token: one grant, one fence, nothing left over', async () => {
    const locks = open({ prepare: false }, proxy.url(database.url))
    await granted(locks, asksFor(someKey()))
    const request = asksFor(someKey())
    proxy.cutOnReplyTo('onceward_lock_acquire')
    await expect(locks.acquire(request)).rejects.toMatchObject(unavailable(/cannot be reached/))
    const { fence } = (await locks.inspect(request.key))?.holders[0] ?? {}
    expect(fence).toBeDefined()
    expect(await granted(locks, request)).toMatchObject({ fence })
    proxy.cutOnReplyTo('onceward_lock_release')
    await expect(locks.release(request)).rejects.toMatchObject(unavailable(/cannot be reached/))
    expect(await locks.release(request)).toEqual({ released: false })
    await granted(locks, asksFor(request.key))
  })

  it('a COMMIT whose reply was lost is asked again too', async () => {
    const locks = open({}, proxy.url(database.url))
    const held = await heldBy(locks, someKey())
    const waiting = waitsFor(held.key)
    proxy.cutOnReplyTo('COMMIT')
    await expect(locks.acquire(waiting)).rejects.toMatchObject(unavailable(/./))
    await refused(locks, waiting, 'another holds the lock')
    expect((await locks.inspect(held.key))?.waiting).toBe(1)
  })

  it('a backend that is terminated under a call fails that call and no other', async () => {
    const locks = open()
    const held = await heldBy(locks, someKey())
    const blocker = await direct.connect()
    await blocker.query('BEGIN')
    await blocker.query('SELECT 1 FROM onceward_locks FOR UPDATE')
    const stuck = locks.extend([{ ...held, ttlMs: LONG_MS }])
    const failed = expect(stuck).rejects.toMatchObject(unavailable(/shutting down|cannot be reached/))
    const WAITING = `FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
    await until(async () => (await count(`SELECT count(*) ${WAITING}`)) > 0)
    await direct.query(`SELECT pg_terminate_backend(pid) ${WAITING}`)
    await failed
    await blocker.query('COMMIT')
    blocker.release()
    await stillHolds(locks, held, 'the lock is still held')
  })

  it('a row that somebody has locked is waited for no longer than half of queryTimeoutMs', async () => {
    // The other half is for a machine that stands still now and then: the server has to be heard of in time.
    const locks = open({ queryTimeoutMs: 4000 })
    const held = await heldBy(locks, someKey())
    const blocker = await direct.connect()
    await blocker.query('BEGIN')
    await blocker.query('SELECT 1 FROM onceward_locks FOR UPDATE')
    await Promise.all(
      [() => locks.release(held), () => locks.acquire(reads(held.key))].map((call) =>
        expect(call()).rejects.toMatchObject(unavailable(/locked for too long/)),
      ),
    )
    await refused(locks, asksFor(held.key), 'looking needs no lock')
    await blocker.query('COMMIT')
    blocker.release()
    expect(await locks.release(held)).toEqual({ released: true })
  })

  it('works under SERIALIZABLE and REPEATABLE READ as the default, however many ask for one key', async () => {
    for (const level of ['serializable', 'repeatable%5C%20read']) {
      const url = `${database.url}?options=-c%20default_transaction_isolation%3D${level}`
      const all = [open({}, url), open({}, url)]
      const key = someKey()
      const fences = new Set<number>()
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const locks = all[index % 2] as PostgresLocks
          const request = asksFor(key, { overtake: true })
          for (;;) {
            const reply = await locks.acquire(request)
            if (reply.granted) {
              fences.add(reply.fence ?? 0)
              expect(await locks.release(request)).toEqual({ released: true })
              return
            }
            await new Promise((resolve) => setTimeout(resolve, 2))
          }
        }),
      )
      expect(fences.size, 'each is granted once, with a fence of its own').toBe(20)
    }
  })

  it('extends thousands of leases in one statement, and every heartbeat is a HOT update', async () => {
    const locks = open()
    const held = Array.from({ length: 1000 }, () => asksFor(someKey()))
    for (let from = 0; from < held.length; from += 100)
      await Promise.all(held.slice(from, from + 100).map((request) => granted(locks, request)))
    await direct.query('VACUUM onceward_locks')
    const updates = async () => {
      await direct.query('SELECT pg_stat_clear_snapshot()')
      const { rows } = await direct.query(
        "SELECT n_tup_upd AS all, n_tup_hot_upd AS hot FROM pg_stat_user_tables WHERE relname = 'onceward_locks'",
      )
      return { all: Number(rows[0]?.all), hot: Number(rows[0]?.hot) }
    }
    const before = await updates()
    for (let beat = 0; beat < 3; beat++) {
      const moved = await locks.extend(held.map((one) => ({ ...one, ttlMs: LONG_MS })))
      expect(moved).toEqual(new Array(1000).fill(true))
    }
    await until(async () => (await updates()).all >= before.all + 3000)
    const after = await updates()
    expect((after.hot - before.hot) / (after.all - before.all)).toBeGreaterThan(0.9)
  })

  it('forgets rows that nobody has used for an hour, and none that is held, marked, ahead of the clock or worked on', async () => {
    // Walks after every grant.
    const locks = open({ random: { nonce: () => 'probe', fraction: () => 0 } })
    const keys = Array.from({ length: 50 }, (_, index) => `idle/${String(index).padStart(2, '0')}`)
    for (const key of keys) await locks.release(await heldBy(locks, key))
    const kept = await heldBy(locks, 'kept/held')
    const marked = await heldBy(locks, 'kept/marked')
    await locks.mark(marked, 'tick 7', LONG_MS)
    await locks.release(marked)
    const forced = await heldBy(locks, 'kept/forced')
    await locks.forceRelease({ key: forced.key, by: 'ada', reason: 'it hangs' })
    // The clock was set back by more than an hour since: a new row would begin with a smaller fence.
    await locks.release(await heldBy(locks, 'kept/ahead'))
    await direct.query(
      `UPDATE onceward_locks SET touched_at = touched_at - 3700000, until = least(until, touched_at - 3700000),
        fence = fence - CASE key WHEN 'kept/ahead' THEN 0 ELSE 3700000000 END`,
    )
    await direct.query("UPDATE onceward_locks SET until = until + 36000000 WHERE key = 'kept/held'")
    const worker = await direct.connect()
    await worker.query("BEGIN; SELECT 1 FROM onceward_locks WHERE key = 'idle/07' FOR UPDATE")
    const LEFT = 'SELECT count(*) FROM onceward_locks'
    await until(async () => {
      await locks.acquire(asksFor('kept/new', { ttlMs: 1 }))
      return (await count(LEFT)) === 6
    })
    // While that row is worked on: the last walk may not have ended, and forgets it afterwards.
    const { rows } = await direct.query('SELECT key FROM onceward_locks ORDER BY key')
    await worker.query('COMMIT')
    worker.release()
    expect(rows.map((row) => row.key)).toEqual([
      'idle/07',
      'kept/ahead',
      'kept/forced',
      'kept/held',
      'kept/marked',
      'kept/new',
    ])
    await stillHolds(locks, kept, 'it is held')
  })

  it('listens on one connection while somebody waits, and leaves none behind', async () => {
    const [a, b] = [open(), open()]
    const held = await heldBy(a, someKey())
    expect(await count(LISTENING)).toBe(0)
    const waiting = waitsFor(held.key)
    await refused(b, waiting, 'another holds the lock')
    let wake = () => {}
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    b.watch(waiting, wake)
    await until(async () => (await count(LISTENING)) === 1)
    await a.release(held)
    await within(5000, 'the waiter is woken', woken)
    await b.close()
    await until(async () => (await count(LISTENING)) === 0)
  })

  it('waiters are woken without a listening connection too, and nobody who listens learns a token', async () => {
    const a = open()
    const heard: string[] = []
    const listener = new pg.Client({ connectionString: database.url })
    await listener.connect()
    listener.on('notification', ({ payload }) => heard.push(payload ?? ''))
    await listener.query('LISTEN onceward_locks_public')
    for (const b of [open({ listen: false }), open({}, proxy.url(database.url))]) {
      const held = await heldBy(a, someKey())
      const waiting = waitsFor(held.key)
      await refused(b, waiting, 'another holds the lock')
      let wake = () => {}
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      b.watch(waiting, wake)
      await direct.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> $1`,
        [(listener as unknown as { processID: number }).processID],
      )
      await a.release(held)
      await within(5000, 'the waiter is woken', woken)
      await granted(b, waiting)
      await until(async () => heard.some((payload) => !payload.startsWith('probe')))
      expect(heard.join(' ')).not.toContain(waiting.token)
      expect(heard.join(' ')).not.toContain(held.token)
    }
    await listener.end()
  })

  it('a release wakes the first who waits, here and in another process, before anybody has looked', async () => {
    // No timer ever fires: whoever waits is told, or waits for ever.
    const timers = { after: () => () => {} }
    const [a, b] = [open({ timers }), open({ timers })]
    for (const waiter of [a, b]) {
      const held = await heldBy(a, someKey())
      const waiting = waitsFor(held.key)
      await refused(waiter, waiting, 'another holds the lock')
      let wake = () => {}
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      waiter.watch(waiting, wake)
      if (waiter === b) await until(async () => (await count(LISTENING)) === 2)
      expect(await a.release(held)).toEqual({ released: true })
      await within(5000, 'the waiter is told', woken)
    }
  })

  it('taking, extending and releasing a lock that nobody else wants is one request each', async () => {
    // No walk over idle rows, which one grant of 256 begins, is counted.
    const random = { ...systemRandom, fraction: () => 0.99 }
    const locks = postgresLocks(openPool(proxy.url(database.url), { max: 1 }), { random })
    opened.push(locks)
    await locks.release(await heldBy(locks, someKey()))
    let requests = 0
    proxy.onRequest(() => {
      requests++
      return undefined
    })
    const held = await heldBy(locks, someKey())
    await stillHolds(locks, held, 'it is held')
    await refused(locks, asksFor(held.key), 'it is held')
    expect(await locks.release(held)).toEqual({ released: true })
    expect(requests).toBe(4)
  })

  it('fences go on where the clock of the server was set back', async () => {
    const locks = open()
    const held = await heldBy(locks, someKey())
    await locks.release(held)
    await direct.query('UPDATE onceward_locks SET fence = fence + 1000000000000')
    const ahead = (held.fence ?? 0) + 1e12
    expect((await heldBy(locks, held.key, { fences: 8 })).fence).toBe(ahead + 1)
    await locks.forceRelease({ key: held.key, by: 'ada', reason: 'it hangs' })
    expect((await heldBy(locks, held.key)).fence).toBe(ahead + 9)
  })

  it('two that extend and read the same locks in different orders do not keep each other waiting', async () => {
    const [a, b] = [open(), open()]
    const keys = Array.from({ length: 40 }, () => someKey())
    const held = await Promise.all(
      [a, b].map((locks) =>
        Promise.all(
          keys.map(async (key) => {
            const request = reads(key)
            await granted(locks, request)
            return request
          }),
        ),
      ),
    )
    const [ofA = [], ofB = []] = held
    for (let round = 0; round < 5; round++) {
      const moved = await Promise.all([
        a.extend(ofA.map((one) => ({ ...one, ttlMs: LONG_MS }))),
        b.extend([...ofB].reverse().map((one) => ({ ...one, ttlMs: LONG_MS }))),
      ])
      expect(moved.flat()).toEqual(new Array(80).fill(true))
    }
  })

  it('a process that stands still in the middle of a step keeps nobody from the lock for long', async () => {
    const locks = open()
    const key = someKey()
    await granted(locks, asksFor(key))
    const paused = await direct.connect()
    const ended = new Promise<Error>((resolve) => void paused.once('error', resolve))
    await paused.query('BEGIN')
    // Its step has the lock on the row now, and goes no further.
    await paused.query(lockStatements('public').lock.text, ['1000', textArray([storedKey(key)])])
    const reply = await within(
      20_000,
      'the others are answered',
      untilAnswered(() => locks.acquire(asksFor(key))),
    )
    expect(reply.granted).toBe(false)
    expect(await ended).toMatchObject({ code: '25P03' })
    paused.release(true)
  })
})
