import { createPool, type Pool, type PoolOptions } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type SqlServer,
  startMariadb,
  type TestDatabase,
} from '../../../../../test-servers/index.mjs'
import { type ErrorCode, isOncewardError, type OncewardError } from '../../core/errors.ts'
import type { Claim } from '../../core/operation.ts'
import type { ClaimReply } from '../../core/store.ts'
import { asks, LONG_MS, outcomeOf, someId, within } from '../../testing/case-kit.ts'
import { type MysqlStore, type MysqlStoreOptions, mysqlStore } from './index.ts'

/** The handle that a transaction of the store hands to its body. */
interface Tx {
  readonly threadId?: number
  execute(sql: string, values: readonly unknown[]): Promise<unknown>
  query(sql: string): Promise<unknown>
}

const INSERT = 'INSERT INTO business VALUES (?)'

await describeWhere('mariadb', 'the MySQL store when things break', () => {
  let server: SqlServer
  let database: TestDatabase
  let proxy: FaultProxy
  let direct: Pool
  const pools: Pool[] = []

  beforeAll(async () => {
    server = await startMariadb({ durable: true, settings: { innodb_lock_wait_timeout: '20' } })
  }, 120_000)
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(async () => {
    database = await server.createDatabase()
    proxy = await faultProxy({ target: server })
    direct = openPool(database.url)
    await mysqlStore(direct).migrate()
    await direct.query('CREATE TABLE business (text VARCHAR(100)) ENGINE = InnoDB')
  })
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end().catch(() => {})))
    await proxy.stop()
    await database.drop()
  })

  const openPool = (uri: string, options: PoolOptions = {}) => {
    const pool = createPool({ uri, connectionLimit: 10, ...options })
    pools.push(pool)
    return pool
  }
  const open = (
    options: MysqlStoreOptions = {},
    uri = database.url,
    pool: PoolOptions = {},
  ): MysqlStore<Tx> => mysqlStore<Tx>(openPool(uri, pool), options)
  const proxied = (options: MysqlStoreOptions = {}, pool: PoolOptions = {}) =>
    open(options, proxy.url(database.url), pool)
  const rows = async () =>
    ((await direct.query('SELECT text FROM business'))[0] as { text: string }[]).map((row) => row.text)
  const failureOf = async (promise: Promise<unknown>, code: ErrorCode): Promise<OncewardError> => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!isOncewardError(error, code))
      throw new Error(`${code} was expected, not ${String(error)}`, { cause: error })
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

  it('tells what is wrong with the address, the user or the database, and no password', async () => {
    const { host, port, username, pathname } = new URL(database.url)
    expect(host).toContain(port)
    const cases = [
      {
        uri: `mysql://${username}:hunter2secret@${host}${pathname}`,
        mend: /check the user, its host and its password/,
      },
      {
        uri: database.url.replace(pathname, '/nowhere'),
        mend: /there is no such database|lacks a permission/,
      },
      { uri: `mysql://${username}:hunter2secret@127.0.0.1:1/db`, mend: /cannot be reached/ },
      { uri: database.url.replace(pathname, ''), mend: /names no database/ },
    ]
    for (const { uri, mend } of cases) {
      const error = await failureOf(open({}, uri).claim(asks(someId())), 'STORE_UNAVAILABLE')
      expect(error.effect).toBe('none')
      expect(error.message).toMatch(mend)
      expect(error.message).not.toContain('hunter2secret')
    }
  })

  it('a pool whose connections are all in use is told so in time, and works again', async () => {
    const pool = openPool(database.url, { connectionLimit: 1 })
    const store = mysqlStore(pool, { queryTimeoutMs: 200 })
    const taken = await pool.getConnection()
    const error = await failureOf(store.claim(asks(someId())), 'STORE_UNAVAILABLE')
    expect(error.message).toMatch(/raise connectionLimit/)
    taken.release()
    const request = asks(someId())
    claimOf(await untilAnswered(() => store.claim(request)))
  })

  it('a server that is read-only for this user is told as such', async () => {
    const user = `r${database.name.slice(-8)}`
    await direct.query(`CREATE USER '${user}'@'%' IDENTIFIED BY 'pass'`)
    await direct.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${database.name}.* TO '${user}'@'%'`)
    const store = open({}, `mysql://${user}:pass@${server.host}:${server.port}/${database.name}`)
    await store.get(someId())
    await direct.query('SET GLOBAL read_only = 1')
    try {
      const error = await failureOf(store.claim(asks(someId())), 'STORE_READ_ONLY')
      expect(error.effect).toBe('none')
      expect(error.message).toMatch(/connect to the primary/)
    } finally {
      await direct.query('SET GLOBAL read_only = 0')
    }
    claimOf(await store.claim(asks(someId())))
    await direct.query(`DROP USER '${user}'@'%'`)
  })

  it('autocommit that is switched off is refused before anything is written', async () => {
    const pool = openPool(database.url)
    pool.on('connection', (connection) => void connection.query('SET autocommit = 0'))
    const error = await failureOf(mysqlStore(pool).claim(asks(someId())), 'STORE_UNAVAILABLE')
    expect(error.message).toMatch(/autocommit is off/)
  })

  for (const [what, verdict] of [
    ['on its way to the server', 'cut'],
    ['before the answer came', 'drop reply'],
  ] as const) {
    it(`a connection that is cut ${what} at any statement: asking again gets the same claim, once`, async () => {
      const store = proxied({ queryTimeoutMs: 2000 })
      // Every statement of a life is cut once: the n-th chunk that is sent since the life began.
      for (let cutAt = 1; cutAt <= 12; cutAt++) {
        const id = someId()
        let sent = 0
        if (verdict === 'cut') {
          proxy.onRequest(() => {
            sent++
            return sent === cutAt ? 'cut' : undefined
          })
        } else {
          proxy.onReply(() => {
            sent++
            return sent === cutAt ? 'cut' : undefined
          })
        }
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
    const id = someId()
    const request = asks(id)
    await untilAnswered(() => store.get(id))
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
    const stores = [open({ queryTimeoutMs: 2000 }), open({ queryTimeoutMs: 2000 })]
    const grants = new Map<string, Set<number>>()
    let killed: Promise<void> | undefined
    const work = async (caller: number) => {
      const store = stores[caller % 2] as MysqlStore<Tx>
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
    const stats = await untilAnswered(() => stores[0]?.stats() ?? Promise.reject(new Error('no store')))
    expect(stats).toMatchObject({ done: 240, running: 0, held: 0 })
    expect([...grants.values()].every((fences) => fences.size === 1)).toBe(true)
  }, 60_000)

  const orderOnce = (store: MysqlStore<Tx>, id: ReturnType<typeof someId>, runs: { count: number }) =>
    store.transaction(async (tx) => {
      const reply = await store.claimIn(tx, asks(id))
      if (reply.state !== 'claimed') return reply.state
      runs.count++
      await tx.execute(INSERT, ['order'])
      await store.completeIn(tx, reply.claim, outcomeOf('receipt'), LONG_MS)
      return 'claimed'
    })

  it('a COMMIT whose confirmation is lost is found to be done, and is not done twice', async () => {
    const store = proxied()
    const runs = { count: 0 }
    const id = someId()
    await store.get(id)
    proxy.cutOnReplyTo('COMMIT')
    expect(await orderOnce(store, id, runs)).toBe('claimed')
    expect(proxy.fired).toBe(1)
    expect(runs.count).toBe(1)
    expect(await rows()).toEqual(['order'])
    expect(await store.get(id)).toMatchObject({ state: 'done' })
  })

  it('a COMMIT that never arrives is found not to be done, and the whole transaction is run again', async () => {
    const store = proxied()
    const runs = { count: 0 }
    const id = someId()
    await store.get(id)
    let cuts = 0
    proxy.onRequest((bytes) => (bytes.includes('COMMIT') && cuts++ === 0 ? 'cut' : undefined))
    expect(await orderOnce(store, id, runs)).toBe('claimed')
    expect(runs.count).toBe(2)
    expect(await rows()).toEqual(['order'])
  })

  it('a COMMIT of which nothing can be found out is told with effect unknown, and the next call finds out', async () => {
    const store = proxied({ queryTimeoutMs: 500 })
    const id = someId()
    await store.get(id)
    proxy.onRequest((bytes) => {
      if (!bytes.includes('COMMIT')) return undefined
      void proxy.down()
      return 'cut'
    })
    const error = await failureOf(orderOnce(store, id, { count: 0 }), 'STORE_UNAVAILABLE')
    expect(error.effect).toBe('unknown')
    await proxy.pass()
    const runs = { count: 0 }
    expect(['claimed', 'done']).toContain(await untilAnswered(() => orderOnce(store, id, runs)))
    expect(await rows()).toEqual(['order'])
  })

  it('a holder that is killed inside its transaction frees a waiting duplicate at once', async () => {
    // Whoever is not freed waits for far longer than a busy machine takes.
    const [a, b] = [open(), open({ lockTimeoutMs: 120_000 })]
    const id = someId()
    let waiting: Promise<unknown> | undefined
    const holder = a.transaction(async (tx) => {
      claimOf(await a.claimIn(tx, asks(id)))
      await tx.execute(INSERT, ['lost'])
      waiting = b.transaction(async (other) => {
        claimOf(await b.claimIn(other, asks(id)))
        await other.execute(INSERT, ['order'])
      })
      await waitsForLock()
      await direct.query(`KILL ${tx.threadId}`)
      await tx.execute(INSERT, ['never'])
    })
    await expect(holder).rejects.toThrow()
    await within(15_000, 'the duplicate runs', waiting ?? Promise.reject(new Error('no duplicate')))
    expect(await rows()).toEqual(['order'])
  })

  it('a duplicate waits for an open transaction no longer than lockTimeoutMs, and is told to ask again', async () => {
    const [a, b] = [open(), open({ lockTimeoutMs: 1000 })]
    const id = someId()
    await a.transaction(async (tx) => {
      claimOf(await a.claimIn(tx, asks(id)))
      const error = await failureOf(
        b.transaction((other) => b.claimIn(other, asks(id))),
        'IN_PROGRESS',
      )
      expect(error).toMatchObject({ effect: 'none', retryable: true })
      expect(error.retryAfterMs).toBeGreaterThan(0)
      const own = await direct.getConnection()
      await own.query('SET SESSION innodb_lock_wait_timeout = 33')
      await own.beginTransaction()
      await failureOf(Promise.resolve(b.claimIn(own as unknown as Tx, asks(id))), 'IN_PROGRESS')
      const [[session]] = (await own.query('SELECT @@innodb_lock_wait_timeout AS wait')) as unknown as [
        [{ wait: number }],
      ]
      expect(session.wait).toBe(33)
      await own.rollback()
      own.destroy()
    })
  })

  it('transactions and calls of other keys do not wait for an open transaction, however small the table', async () => {
    const [a, b] = [open(), open({ lockTimeoutMs: 1000 })]
    const known = someId()
    await a.release(claimOf(await a.claim(asks(known))))
    await a.transaction(async (tx) => {
      claimOf(await a.claimIn(tx, asks(known)))
      expect(await orderOnce(b, someId(), { count: 0 })).toBe('claimed')
      const claim = claimOf(await b.claim(asks(someId())))
      expect(await b.release(claim)).toBe(true)
      expect(await b.sweep()).toBe(0)
      expect(await b.purge()).toBe(0)
    })
  })

  it('leaves the connections of the pool as they were', async () => {
    const pool = openPool(database.url, { connectionLimit: 1 })
    const store = mysqlStore<Tx>(pool)
    const settings = async () =>
      (
        await pool.query(
          'SELECT @@autocommit AS autocommit, @@innodb_lock_wait_timeout AS wait, @@tx_isolation AS isolation',
        )
      )[0]
    const before = await settings()
    await orderOnce(store, someId(), { count: 0 })
    await store.transaction(() => Promise.reject(new Error('no'))).catch(() => {})
    await store.sweep()
    expect(await settings()).toEqual(before)
  })

  it('a deadlock inside the work runs all of it again, whether the work lets the error through or swallows it', async () => {
    for (const swallow of [false, true]) {
      await direct.query('DROP TABLE IF EXISTS stock')
      await direct.query('CREATE TABLE stock (id INT PRIMARY KEY, n INT) ENGINE = InnoDB')
      await direct.query('INSERT INTO stock VALUES (1, 0), (2, 0)')
      const store = open()
      const met = { first: 0, runs: 0 }
      const take = (tx: Tx, id: number) => tx.execute('UPDATE stock SET n = n + 1 WHERE id = ?', [id])
      const order = (first: number, second: number) => {
        const id = someId()
        return store.transaction(async (tx) => {
          const reply = await store.claimIn(tx, asks(id))
          met.runs++
          await take(tx, first)
          met.first++
          await until(() => met.first >= 2)
          await take(tx, second).catch((error: unknown) => {
            if (!swallow) throw error
          })
          await tx.execute(INSERT, [`${first}`])
          await store.completeIn(tx, claimOf(reply), outcomeOf('receipt'), LONG_MS)
        })
      }
      await Promise.all([order(1, 2), order(2, 1)])
      expect(met.runs).toBeGreaterThan(2)
      const [stock] = (await direct.query('SELECT n FROM stock')) as unknown as [{ n: number }[]]
      expect(stock.map(({ n }) => n)).toEqual([2, 2])
      expect([...(await rows())].sort()).toEqual(['1', '2'])
      await direct.query('DELETE FROM business')
    }
  })

  it('work that commits, rolls back or creates a table by itself is told so', async () => {
    const store = open()
    for (const end of ['COMMIT', 'CREATE TABLE IF NOT EXISTS other (n INT)']) {
      const run = store.transaction(async (tx) => {
        const claim = claimOf(await store.claimIn(tx, asks(someId())))
        await tx.query(end)
        return store.completeIn(tx, claim, outcomeOf('receipt'), LONG_MS)
      })
      await expect(run).rejects.toThrow(TypeError)
    }
  })

  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  /** Resolves once a claim has been under way for so long that it waits for a lock. */
  const waitsForLock = async () => {
    for (;;) {
      const [found] = (await direct.query(
        "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE info LIKE 'INSERT INTO onceward%' AND time_ms > 30",
      )) as unknown as [{ n: number }[]]
      if (Number(found[0]?.n) > 0) return
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
})
