import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type PostgresServer,
  startPostgres,
  type TestDatabase,
} from '../../../../../test-servers/index.mjs'
import { type ErrorCode, isOncewardError, type OncewardError } from '../../core/errors.ts'
import type { Claim } from '../../core/operation.ts'
import type { ClaimReply } from '../../core/store.ts'
import { textArray } from '../../drivers/pg/index.ts'
import { asks, LONG_MS, outcomeOf, someId, within } from '../../testing/case-kit.ts'
import { type PostgresStore, type PostgresStoreOptions, postgresStore } from './index.ts'
import { makePostgresStore } from './postgres-store.ts'
import { statementsOf } from './statements.ts'

type Tx = pg.PoolClient

const INSERT = 'INSERT INTO business VALUES ($1)'

await describeWhere('postgres', 'the PostgreSQL store when things break', () => {
  let server: PostgresServer
  let database: TestDatabase
  let proxy: FaultProxy
  let direct: pg.Pool
  const pools: pg.Pool[] = []

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
    await postgresStore(direct).migrate()
    await direct.query('CREATE TABLE business (text text)')
  })
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end().catch(() => {})))
    await proxy.stop()
    await database.drop()
  })

  const openPool = (connectionString: string, options: pg.PoolConfig = {}) => {
    const pool = new pg.Pool({ connectionString, max: 10, ...options })
    pools.push(pool)
    return pool
  }
  const open = (options: PostgresStoreOptions = {}, url = database.url): PostgresStore<Tx> =>
    postgresStore<Tx>(openPool(url), options)
  const proxied = (options: PostgresStoreOptions = {}) => open(options, proxy.url(database.url))
  const rows = async () =>
    (await direct.query<{ text: string }>('SELECT text FROM business')).rows.map((row) => row.text)
  const failureOf = async (promise: Promise<unknown>, code: ErrorCode): Promise<OncewardError> => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!isOncewardError(error, code))
      throw new Error(`${code} was expected, not ${String(error)}`, { cause: error })
    expect(error.message).not.toContain('hunter2secret')
    return error
  }
  const claimOf = (reply: ClaimReply): Claim => {
    if (reply.state !== 'claimed') throw new Error(`the claim is granted, not ${reply.state}`)
    return reply.claim
  }
  /** Asks until the store answers, under the same nonce, as the engine does. */
  const untilAnswered = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        if (!isOncewardError(error, 'STORE_UNAVAILABLE') || error.effect !== 'none') throw error
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
  const orderOnce = (store: PostgresStore<Tx>, id: ReturnType<typeof someId>, runs: { count: number }) =>
    store.transaction(async (tx) => {
      const reply = await store.claimIn(tx, asks(id))
      if (reply.state !== 'claimed') return reply.state
      runs.count++
      await tx.query(INSERT, ['order'])
      await store.completeIn(tx, reply.claim, outcomeOf('receipt'), LONG_MS)
      return 'claimed'
    })
  /** Resolves once somebody waits for a lock in this database. */
  const somebodyWaits = async () => {
    for (;;) {
      const { rowCount } = await direct.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      )
      if (rowCount) return
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  it('tells what is wrong with the address, the user or the database, and no password', async () => {
    const { host, pathname } = new URL(database.url)
    const cases = [
      [`postgres://postgres:wrong-hunter2secret@${host}${pathname}`, /check the user, its password/],
      [`postgres://nobody:hunter2secret@${host}${pathname}`, /check the user, its password/],
      [database.url.replace(pathname, '/nowhere'), /there is no such database/],
      [`postgres://postgres:hunter2secret@127.0.0.1:1/db`, /cannot be reached.*check that it runs/],
    ] as const
    for (const [url, mend] of cases) {
      const error = await failureOf(open({}, url).claim(asks(someId())), 'STORE_UNAVAILABLE')
      expect(error).toMatchObject({ effect: 'none', retryable: true })
      expect(error.message).toMatch(mend)
    }
  })

  it('a pool whose connections are all in use is told so in time, and works again', async () => {
    const pool = openPool(database.url, { max: 1 })
    const store = postgresStore(pool, { queryTimeoutMs: 200 })
    const taken = await pool.connect()
    const error = await failureOf(store.claim(asks(someId())), 'STORE_UNAVAILABLE')
    expect(error.message).toMatch(/within 200 ms/)
    taken.release()
    const request = asks(someId())
    claimOf(await untilAnswered(() => store.claim(request)))
    expect(pool.idleCount, 'what came too late was given back').toBe(1)
  })

  it('a database that is read-only is told as such, also a replica', async () => {
    const store = open()
    await store.get(someId())
    await direct.query(`ALTER DATABASE ${database.name} SET default_transaction_read_only = on`)
    const readOnly = open()
    const error = await failureOf(readOnly.claim(asks(someId())), 'STORE_READ_ONLY')
    expect(error).toMatchObject({ effect: 'none' })
    expect(error.message).toMatch(/connect to the primary/)
    expect(await readOnly.doctor()).toContainEqual(expect.objectContaining({ check: 'write', level: 'fail' }))
  })

  it('a user without the rights is told which, and the doctor names the table', async () => {
    const user = `u_${database.name}`
    await direct.query(`CREATE ROLE ${user} LOGIN PASSWORD 'hunter2secret'`)
    try {
      const store = open({}, database.url.replace('postgres:hunter2secret@', `${user}:hunter2secret@`))
      await direct.query(`GRANT SELECT ON onceward_migrations TO ${user}`)
      const error = await failureOf(store.claim(asks(someId())), 'STORE_UNAVAILABLE')
      expect(error.message).toMatch(/lacks a permission; grant it/)
      const finding = (await store.doctor()).find((one) => one.check === 'permissions')
      expect(finding).toMatchObject({ level: 'fail' })
      expect(finding?.message).toMatch(/INSERT on onceward_operations/)
      await direct.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON onceward_operations TO ${user}`)
      await direct.query(`GRANT SELECT, INSERT ON onceward_audit TO ${user}`)
      claimOf(await store.claim(asks(someId())))
      expect((await store.doctor()).filter((one) => one.level === 'fail')).toEqual([])
    } finally {
      await direct.query(`DROP OWNED BY ${user}; DROP ROLE ${user}`)
    }
  })

  for (const [what, hook] of [
    ['on its way to the server', 'onRequest'],
    ['before the answer came', 'onReply'],
  ] as const) {
    it(`a connection that is cut ${what} at any statement: asking again gets the same claim, once`, async () => {
      const store = proxied({ queryTimeoutMs: 2000 })
      // Every statement of a life is cut once: the n-th chunk since the life began.
      for (let cutAt = 1; cutAt <= 12; cutAt++) {
        const id = someId()
        let seen = 0
        proxy[hook](() => (++seen === cutAt ? 'cut' : undefined))
        const request = asks(id)
        const claim = claimOf(await untilAnswered(() => store.claim(request)))
        expect(await untilAnswered(() => store.renew(claim, LONG_MS))).toBe(true)
        expect(await untilAnswered(() => store.complete(claim, outcomeOf('receipt'), LONG_MS))).toBe(true)
        await proxy.pass()
        const record = await untilAnswered(() => store.get(id))
        expect(record).toMatchObject({ state: 'done', attempt: 1, fence: claim.fence, duplicates: 0 })
        expect(record?.history.map((entry) => entry.event)).toEqual(['claimed', 'completed'])
      }
    }, 60_000)
  }

  it('a server that is stopped and does not answer is given up in time, and used again when it goes on', async () => {
    const store = open({ queryTimeoutMs: 300 })
    const request = asks(someId())
    await untilAnswered(() => store.get(someId()))
    await server.pause()
    try {
      await within(15_000, 'it is given up', failureOf(store.claim(request), 'STORE_UNAVAILABLE'))
    } finally {
      await server.resume()
    }
    const claim = claimOf(await untilAnswered(() => store.claim(request)))
    expect(await untilAnswered(() => store.complete(claim, outcomeOf('receipt'), LONG_MS))).toBe(true)
  })

  it('a server that is killed and comes back while 40 callers work: every key is granted once and completed', async () => {
    const stores = [open({ queryTimeoutMs: 2000 }), open({ queryTimeoutMs: 2000 })] as const
    const grants = new Map<string, Set<number>>()
    let killed: Promise<void> | undefined
    const work = async (caller: number) => {
      const store = stores[caller % 2] ?? stores[0]
      for (let turn = 0; turn < 6; turn++) {
        if (caller === 0 && turn === 2) killed = server.restart()
        const id = someId(`key-${caller}-${turn}`)
        const request = asks(id)
        const claim = claimOf(await untilAnswered(() => store.claim(request)))
        grants.set(id.key, (grants.get(id.key) ?? new Set()).add(claim.fence))
        expect(await untilAnswered(() => store.complete(claim, outcomeOf(id.key), LONG_MS))).toBe(true)
      }
    }
    await Promise.all(Array.from({ length: 40 }, (_, caller) => work(caller)))
    await killed
    expect(await untilAnswered(() => stores[0].stats())).toMatchObject({ done: 240, running: 0, held: 0 })
    expect([...grants.values()].every((fences) => fences.size === 1)).toBe(true)
  }, 60_000)

  it('a COMMIT whose confirmation is lost is found to be done, and is not done twice', async () => {
    const store = proxied()
    const runs = { count: 0 }
    const id = someId()
    await store.get(id)
    proxy.cutOnReplyTo('COMMIT\0')
    expect(await orderOnce(store, id, runs)).toBe('claimed')
    expect(proxy.fired).toBe(1)
    expect(runs.count).toBe(1)
    expect(await rows()).toEqual(['order'])
    expect(await store.get(id)).toMatchObject({ state: 'done' })
  })

  it('a COMMIT that never arrives is told as retryable without effect, and the next call runs', async () => {
    const store = proxied()
    const runs = { count: 0 }
    const id = someId()
    await store.get(id)
    proxy.onRequest((bytes) => (bytes.includes('COMMIT\0') && runs.count === 1 ? 'cut' : undefined))
    const error = await failureOf(orderOnce(store, id, runs), 'STORE_UNAVAILABLE')
    expect(error).toMatchObject({ effect: 'none', retryable: true })
    expect(await orderOnce(store, id, runs)).toBe('claimed')
    expect(await rows()).toEqual(['order'])
  })

  it('a COMMIT of which nothing can be found out is told with effect unknown, and the next call finds out', async () => {
    const store = proxied({ queryTimeoutMs: 500 })
    const id = someId()
    await store.get(id)
    proxy.onRequest((bytes) => {
      if (!bytes.includes('COMMIT\0')) return undefined
      void proxy.down()
      return 'cut'
    })
    const error = await failureOf(orderOnce(store, id, { count: 0 }), 'STORE_UNAVAILABLE')
    expect(error.effect).toBe('unknown')
    await proxy.pass()
    expect(['claimed', 'done']).toContain(await untilAnswered(() => orderOnce(store, id, { count: 0 })))
    expect(await rows()).toEqual(['order'])
  })

  it('a holder that is killed inside its transaction frees a waiting duplicate at once', async () => {
    // Whoever is not freed waits for far longer than a busy machine takes.
    const [a, b] = [open(), open({ lockTimeoutMs: 120_000, queryTimeoutMs: 120_000 })]
    const id = someId()
    let waiting: Promise<unknown> | undefined
    const holder = a.transaction(async (tx) => {
      claimOf(await a.claimIn(tx, asks(id)))
      await tx.query(INSERT, ['lost'])
      waiting = b.transaction(async (other) => {
        claimOf(await b.claimIn(other, asks(id)))
        await other.query(INSERT, ['order'])
      })
      await somebodyWaits()
      const pid = (await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]?.pid
      await direct.query('SELECT pg_terminate_backend($1)', [pid])
      await tx.query(INSERT, ['never'])
    })
    await expect(holder).rejects.toThrow()
    await within(15_000, 'the duplicate runs', waiting ?? Promise.reject(new Error('none')))
    expect(await rows()).toEqual(['order'])
  })

  it('a duplicate waits for an open transaction no longer than lockTimeoutMs, and leaves the timeout of the caller', async () => {
    const [a, b] = [open(), open({ lockTimeoutMs: 300 })]
    const id = someId()
    await a.transaction(async (tx) => {
      claimOf(await a.claimIn(tx, asks(id)))
      const waited = b.transaction(async (other) => b.claimIn(other, asks(id)))
      expect(await failureOf(waited, 'IN_PROGRESS')).toMatchObject({ effect: 'none', retryable: true })
    })
    const client = await direct.connect()
    await client.query("BEGIN; SET LOCAL lock_timeout = '33s'")
    const claim = claimOf(await b.claimIn(client, asks(someId())))
    expect((await b.claimIn(client, asks(id))).state).toBe('running')
    expect(await b.completeIn(client, claim, outcomeOf('receipt'), LONG_MS)).toBe(true)
    expect((await client.query('SHOW lock_timeout')).rows).toEqual([{ lock_timeout: '33s' }])
    await client.query('COMMIT')
    client.release()
  })

  it('a process that stands still while it decides by the exact rules keeps nobody from the record for long', async () => {
    const store = open()
    const id = someId()
    const claim = claimOf(await store.claim(asks(id)))
    const paused = await direct.connect()
    const ended = new Promise<Error>((resolve) => void paused.once('error', resolve))
    await paused.query('BEGIN')
    await paused.query(statementsOf('public').lock.text, ['1000', textArray([id.digest])])
    const untilReleased = async (): Promise<boolean> =>
      store.release(claim).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none' })
        return untilReleased()
      })
    expect(await within(20_000, 'the owner gives it back', untilReleased())).toBe(true)
    expect(await ended).toMatchObject({ code: '25P03' })
    paused.release(true)
  })

  it.each(['COMMIT', 'ROLLBACK'])(
    'work that ends its transaction by %s and begins another one is told so',
    async (end) => {
      const store = open()
      const ended = store.transaction(async (tx) => {
        claimOf(await store.claimIn(tx, asks(someId())))
        await (tx as unknown as { query(text: string): Promise<unknown> }).query(end)
        await (tx as unknown as { query(text: string): Promise<unknown> }).query('BEGIN')
      })
      await expect(ended).rejects.toThrow('the body ended its transaction itself')
      expect(await store.transaction(async () => 'usable')).toBe('usable')
    },
  )

  it('a key that an open transaction has claimed is told to be running, and no other key waits for it', async () => {
    const [a, b] = [open(), open()]
    const taken = someId('taken')
    await b.get(taken)
    await a.transaction(async (tx) => {
      claimOf(await a.claimIn(tx, asks(taken)))
      const others = Array.from({ length: 60 }, (_, index) => someId(`other-${index}`))
      const [reply, ...replies] = await Promise.all([taken, ...others].map((id) => b.claim(asks(id))))
      expect(reply).toMatchObject({ state: 'running', remainingMs: expect.any(Number) })
      expect(replies.map((one) => one.state)).toEqual(others.map(() => 'claimed'))
      await a.completeIn(tx, claimOf(await a.claimIn(tx, asks(someId()))), outcomeOf('other'), LONG_MS)
    })
  })

  it('a record that somebody creates while the exact rules are at work is decided on, not overwritten', async () => {
    const store = makePostgresStore<Tx>(openPool(database.url), {}, { slowly: true })
    const id = someId()
    const holder = open()
    await store.get(someId())
    let reply: Promise<ClaimReply> | undefined
    await holder.transaction(async (tx) => {
      const claim = claimOf(await holder.claimIn(tx, asks(id)))
      await holder.completeIn(tx, claim, outcomeOf('receipt'), LONG_MS)
      reply = store.claim(asks(id))
      await somebodyWaits()
    })
    expect(await reply).toMatchObject({ state: 'done', attempt: 1 })
  })

  it('a deadlock inside the work runs all of it again, whether the work lets the error through or swallows it', async () => {
    for (const swallow of [false, true]) {
      await direct.query('DROP TABLE IF EXISTS stock; CREATE TABLE stock (id int PRIMARY KEY, n int)')
      await direct.query('INSERT INTO stock VALUES (1, 0), (2, 0)')
      const store = open()
      const met = { first: 0, runs: 0 }
      const take = (tx: Tx, id: number) => tx.query('UPDATE stock SET n = n + 1 WHERE id = $1', [id])
      const order = (first: number, second: number) => {
        const id = someId()
        return store.transaction(async (tx) => {
          const claim = claimOf(await store.claimIn(tx, asks(id)))
          met.runs++
          await take(tx, first)
          met.first++
          while (met.first < 2) await new Promise((resolve) => setTimeout(resolve, 2))
          await take(tx, second).catch((error: unknown) => {
            if (!swallow) throw error
          })
          await tx.query(INSERT, [`${first}`]).catch((error: unknown) => {
            if (!swallow) throw error
          })
          await Promise.resolve(store.completeIn(tx, claim, outcomeOf('receipt'), LONG_MS)).catch(
            (error: unknown) => {
              if (!swallow) throw error
            },
          )
        })
      }
      await Promise.all([order(1, 2), order(2, 1)])
      expect(met.runs).toBeGreaterThan(2)
      const { rows: stock } = await direct.query<{ n: number }>('SELECT n FROM stock')
      expect(stock.map(({ n }) => n)).toEqual([2, 2])
      expect([...(await rows())].sort()).toEqual(['1', '2'])
      await direct.query('DELETE FROM business')
    }
  })
})
