import { createConnection, createPool, type Pool, type PoolOptions } from 'mysql2/promise'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import {
  describeWhere,
  type FaultProxy,
  faultProxy,
  type SqlServer,
  startMariadb,
  type TestDatabase,
} from '../../../../../test-servers/index.mjs'
import { systemRandom } from '../../core/system.ts'
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
import { lockForTransaction, type MysqlLocks, type MysqlLocksOptions, mysqlLocks } from './index.ts'

// On a busy machine a server takes its time for what it brings to the disk.
vi.setConfig({ testTimeout: 60_000 })

await describeWhere('mariadb', 'locks in MariaDB when things break', () => {
  let server: SqlServer
  let database: TestDatabase
  let proxy: FaultProxy
  let direct: Pool
  const pools: Pool[] = []

  beforeAll(async () => {
    server = await startMariadb({ durable: true })
  }, 120_000)
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(async () => {
    database = await server.createDatabase()
    proxy = await faultProxy({ target: server })
    direct = openPool(database.url)
    await mysqlLocks(direct).migrate()
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
  const open = (options: MysqlLocksOptions = {}, url = database.url, pool: PoolOptions = {}): MysqlLocks =>
    mysqlLocks(openPool(url, pool), options)
  /** One grant of 256 begins a walk over idle rows; none does with this. */
  const withoutWalks = { random: { ...systemRandom, fraction: () => 0.99 } }
  const unavailable = (message: RegExp) => ({
    code: 'STORE_UNAVAILABLE',
    effect: 'none',
    retryable: true,
    message: expect.stringMatching(message),
  })
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
  const rowsOf = async (sql: string) => (await direct.query(sql))[0] as Record<string, unknown>[]
  const until = async (condition: () => Promise<boolean>) => {
    while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  /** Somebody's transaction that has locked all rows. */
  const blockAll = async () => {
    const blocker = await direct.getConnection()
    await blocker.beginTransaction()
    await blocker.query('SELECT 1 FROM onceward_locks FOR UPDATE')
    return async () => {
      await blocker.rollback()
      blocker.release()
    }
  }

  it('tells what is wrong with the address, the user or the database, and no password', async () => {
    const { username, host, pathname } = new URL(database.url)
    const cases = [
      [`mysql://${username}:hunter2secret@${host}${pathname}`, /check the user, its host and its password/],
      [database.url.replace(pathname, '/nowhere'), /there is no such database|lacks a permission/],
      ['mysql://root:hunter2secret@127.0.0.1:1/db', /no connection|cannot be reached/],
    ] as const
    for (const [url, mend] of cases) {
      const locks = open({}, url)
      const error = await locks.acquire(asksFor(someKey())).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject(unavailable(mend))
      expect(`${error} ${locks.where}`).not.toContain('hunter2secret')
    }
    for (const given of [undefined, database.url, {}])
      expect(() => mysqlLocks(given as never)).toThrow(/mysqlLocks needs a pool/)
  })

  it('tells that there is no schema and how it is made, and makes it by the first use where asked', async () => {
    const empty = await server.createDatabase()
    const without = open({}, empty.url)
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
    const eight = Array.from({ length: 8 }, () => open({ autoMigrate: true }, empty.url))
    const replies = await Promise.all(eight.map((locks) => locks.acquire(asksFor('k'))))
    expect(replies.filter((reply) => reply.granted)).toHaveLength(1)
    expect(await without.migrate()).toEqual([])
    await empty.drop()
  })

  it('tells that the server is read-only, that the pool was closed, and that the locks were', async () => {
    const user = `r${database.name.slice(-8)}`
    await direct.query(`CREATE USER '${user}'@'%' IDENTIFIED BY 'pass'`)
    await direct.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ${database.name}.* TO '${user}'@'%'`)
    const locks = open({}, `mysql://${user}:pass@${server.host}:${server.port}/${database.name}`)
    const held = await heldBy(locks, someKey())
    await direct.query('SET GLOBAL read_only = 1')
    try {
      for (const call of [() => locks.acquire(asksFor('k')), () => locks.release(held)])
        await expect(call()).rejects.toMatchObject({ code: 'STORE_READ_ONLY', effect: 'none' })
    } finally {
      await direct.query('SET GLOBAL read_only = 0')
      await direct.query(`DROP USER '${user}'@'%'`)
    }
    const pool = openPool(database.url)
    const closing = mysqlLocks(pool)
    await granted(closing, asksFor(someKey()))
    await pool.end()
    await expect(closing.acquire(asksFor('k'))).rejects.toMatchObject(unavailable(/./))
    await closing.close()
    await expect(closing.acquire(asksFor('k'))).rejects.toMatchObject({ code: 'CLOSED', effect: 'none' })
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
    const locks = open(withoutWalks, proxy.url(database.url), { connectionLimit: 1 })
    // All statements are prepared on the connection, so that the reply that is lost is that of the call.
    await locks.release(await heldBy(locks, someKey()))
    const request = asksFor(someKey())
    proxy.cutOnReply()
    await expect(locks.acquire(request)).rejects.toMatchObject(unavailable(/cannot be reached/))
    const { fence } = (await locks.inspect(request.key))?.holders[0] ?? {}
    expect(fence).toBeDefined()
    expect(await granted(locks, request)).toMatchObject({ fence })
    await locks.release(await heldBy(locks, someKey()))
    proxy.cutOnReply()
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

  it('a connection that is killed under a call fails that call and no other', async () => {
    const locks = open()
    const held = await heldBy(locks, someKey())
    const unblock = await blockAll()
    const stuck = locks.extend([{ ...held, ttlMs: LONG_MS }])
    const failed = expect(stuck).rejects.toMatchObject(unavailable(/./))
    const WAITING = `SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'UPDATE JSON_TABLE%'`
    await until(async () => (await rowsOf(WAITING)).length > 0)
    for (const { id } of await rowsOf(WAITING)) await direct.query(`KILL ${id}`)
    await failed
    await unblock()
    await stillHolds(locks, held, 'the lock is still held')
  })

  it('a row that somebody has locked is waited for no longer than queryTimeoutMs', async () => {
    const [locks, patient] = [open({ queryTimeoutMs: 300 }), open()]
    const held = await heldBy(patient, someKey())
    // A busy machine may answer too late, and is asked again.
    const seen = () => untilAnswered(() => locks.inspect(held.key))
    await seen()
    const unblock = await blockAll()
    await expect(locks.release(held)).rejects.toMatchObject(unavailable(/did not answer within 300 ms/))
    await expect(locks.acquire(reads(held.key))).rejects.toMatchObject(unavailable(/within 300 ms/))
    expect((await seen())?.holders).toHaveLength(1)
    await unblock()
    // A call that was given up may still have been carried out.
    await patient.release(held)
    const next = asksFor(held.key)
    expect(await untilAnswered(() => locks.acquire(next))).toMatchObject({ granted: true })
  })

  it('works under SERIALIZABLE and REPEATABLE READ as the default, however many ask for one key', async () => {
    for (const level of ['SERIALIZABLE', 'REPEATABLE-READ']) {
      await direct
        .query(`SET GLOBAL transaction_isolation = '${level}'`)
        .catch(() => direct.query(`SET GLOBAL tx_isolation = '${level}'`))
      const all = [open(), open()]
      const key = someKey()
      const fences = new Set<number>()
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const locks = all[index % 2] as MysqlLocks
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

  it('extends thousands of leases, and two that extend the same ones in different orders', async () => {
    const [a, b] = [open(), open()]
    const held = Array.from({ length: 600 }, (_, index) => (index % 20 === 0 ? reads : asksFor)(someKey()))
    for (let from = 0; from < held.length; from += 100)
      await Promise.all(held.slice(from, from + 100).map((request) => granted(a, request)))
    const all = held.map((one) => ({ ...one, ttlMs: LONG_MS, meta: 'still here' }))
    const stranger = { ...asksFor(held[0]?.key ?? ''), ttlMs: LONG_MS }
    const moved = await Promise.all([a.extend([...all, stranger]), b.extend([...all].reverse())])
    expect(moved.flat()).toEqual([...new Array(600).fill(true), false, ...new Array(600).fill(true)])
    expect((await b.inspect(held[7]?.key ?? ''))?.holders[0]?.meta).toBe('still here')
  })

  it('forgets rows that nobody has used for an hour, and none that is held, marked, ahead of the clock or worked on', async () => {
    // Walks after every grant.
    const locks = open({ random: { nonce: () => 'probe', fraction: () => 0 } })
    for (let index = 0; index < 50; index++)
      await locks.release(await heldBy(locks, `idle/${String(index).padStart(2, '0')}`))
    const kept = await heldBy(locks, 'kept/held')
    const marked = await heldBy(locks, 'kept/marked')
    await locks.mark(marked, 'tick 7', LONG_MS)
    await locks.release(marked)
    const forced = await heldBy(locks, 'kept/forced')
    await locks.forceRelease({ key: forced.key, by: 'ada', reason: 'it hangs' })
    // The clock was set back by more than an hour since: a new row would begin with a smaller fence.
    await locks.release(await heldBy(locks, 'kept/ahead'))
    const transaction = await createConnection(database.url)
    await transaction.beginTransaction()
    await lockForTransaction(transaction, 'a transaction')
    await transaction.commit()
    await transaction.beginTransaction()
    await direct.query(
      `UPDATE onceward_locks SET until = LEAST(until, touched_at - 3700000), touched_at = touched_at - 3700000,
        fence = fence - IF(\`key\` = 'kept/ahead', 0, 3700000000)`,
    )
    await direct.query("UPDATE onceward_locks SET until = until + 36000000 WHERE `key` = 'kept/held'")
    await transaction.query("SELECT 1 FROM onceward_locks WHERE `key` = 'idle/07' FOR UPDATE")
    await until(async () => {
      await locks.acquire(asksFor('kept/new', { ttlMs: 1 }))
      return Number((await rowsOf('SELECT COUNT(*) AS count FROM onceward_locks'))[0]?.['count']) === 6
    })
    // While that row is worked on: the last walk may not have ended, and forgets it afterwards.
    const left = await rowsOf('SELECT `key` FROM onceward_locks ORDER BY `key`')
    await transaction.end()
    expect(left.map((row) => String(row['key']))).toEqual([
      'idle/07',
      'kept/ahead',
      'kept/forced',
      'kept/held',
      'kept/marked',
      'kept/new',
    ])
    await stillHolds(locks, kept, 'it is held')
  })

  it('forgets rows beyond those of many transactions, which sort behind all others', async () => {
    const before = open()
    await before.release(await heldBy(before, 'idle'))
    await direct.query(
      `UPDATE onceward_locks SET until = 0, touched_at = touched_at - 3700000, fence = fence - 3700000000`,
    )
    await direct.query(
      `INSERT INTO onceward_locks (\`key\`, fence, fences, until, busy_until, keep_until, touched_at)
        SELECT UNHEX(CONCAT('FF', SHA2(seq, 256))), 0, 0, 0, 0, 0, UNIX_TIMESTAMP() * 1000 FROM seq_1_to_1500`,
    )
    const locks = open({ random: { nonce: () => 'probe', fraction: () => 0 } })
    const IDLE = "SELECT 1 FROM onceward_locks WHERE `key` = 'idle'"
    const gone = until(async () => {
      await locks.acquire(asksFor('late', { ttlMs: 1 }))
      return (await rowsOf(IDLE)).length === 0
    })
    await within(15_000, 'the walk comes round to the first rows', gone)
  })

  it('a release wakes the first who waits in the same process before anybody has looked', async () => {
    // No timer ever fires: whoever waits is told, or waits for ever.
    const locks = open({ timers: { after: () => () => {} } })
    const held = await heldBy(locks, someKey())
    const waiting = waitsFor(held.key)
    await refused(locks, waiting, 'another holds the lock')
    let wake = () => {}
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    locks.watch(waiting, wake)
    expect(await locks.release(held)).toEqual({ released: true })
    await within(5000, 'the waiter is told', woken)
  })

  it('taking, extending and releasing a lock that nobody else wants is one request each', async () => {
    const locks = open(withoutWalks, proxy.url(database.url), { connectionLimit: 1 })
    const key = someKey()
    const round = async (asked: string) => {
      const held = await heldBy(locks, asked)
      await stillHolds(locks, held, 'it is held')
      expect(await locks.release(held)).toEqual({ released: true })
    }
    // Prepares the statements, for a key that was not used yet and for one that was.
    await round(key)
    await round(key)
    let requests = 0
    proxy.onRequest(() => {
      requests++
      return undefined
    })
    await round(key)
    expect(requests).toBe(3)
    await round(someKey())
    expect(requests).toBe(6)
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

  it('wakes a waiter of another process soon after a release', async () => {
    const [a, b] = [open(), open()]
    const held = await heldBy(a, someKey())
    const waiting = waitsFor(held.key)
    await refused(b, waiting, 'another holds the lock')
    let wake = () => {}
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    const stop = b.watch(waiting, wake)
    await a.release(held)
    await within(5000, 'the waiter is woken', woken)
    stop()
    await granted(b, waiting)
  })
})
