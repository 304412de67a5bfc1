import { createPool, type Pool, type PoolOptions } from 'mysql2/promise'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../../test-servers/index.mjs'
import { createOnce } from '../../core/create-once.ts'
import { isOncewardError } from '../../core/errors.ts'
import { operationId } from '../../core/identity.ts'
import type { Claim, OperationId } from '../../core/operation.ts'
import type { ClaimReply } from '../../core/store.ts'
import { asks, claimed, doneBy, LONG_MS, outcomeOf, someId, within } from '../../testing/case-kit.ts'
import { type MysqlStore, type MysqlStoreOptions, mysqlStore } from './index.ts'

await describeWith('mariadb', 'the MySQL store', ({ mariadb }) => {
  let database: TestDatabase
  const pools: Pool[] = []
  const openPool = (options: PoolOptions = {}) => {
    const pool = createPool({ uri: database.url, connectionLimit: 10, ...options })
    pools.push(pool)
    return pool
  }
  const open = (options: MysqlStoreOptions = {}): MysqlStore => mysqlStore(openPool(), options)
  beforeEach(async () => {
    database = await mariadb.createDatabase()
    await open().migrate()
  })
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end()))
    await database.drop()
  })
  const claimOf = (reply: ClaimReply): Claim => {
    if (reply.state !== 'claimed') throw new Error(`the claim is granted, not ${reply.state}`)
    return reply.claim
  }
  /** How many statements the server has run since the last look, and what they were. */
  const statements = async (act: () => Promise<unknown>) => {
    const pool = openPool({ connectionLimit: 1 })
    const count = async () => {
      const [rows] = await pool.query(
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Com_insert_select', 'Com_select')",
      )
      return new Map(
        (rows as { Variable_name: string; Value: string }[]).map((row) => [
          row.Variable_name,
          Number(row.Value),
        ]),
      )
    }
    const before = await count()
    await act()
    const after = await count()
    const of = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    return { inserts: of('Com_insert_select'), selects: of('Com_select') }
  }

  it('grants 200 keys once each when two pools race for all of them, each in another order', async () => {
    const stores = [open(), open()]
    const ids = Array.from({ length: 200 }, (_, index) => someId(`key-${index}`))
    const asked = stores.flatMap((store, index) =>
      (index === 0 ? ids : [...ids].reverse()).flatMap((id) => [0, 1, 2].map(() => ({ store, id }))),
    )
    const replies = await Promise.all(
      asked.map(async ({ store, id }) => ({ id, reply: await store.claim(asks(id)) })),
    )
    const granted = replies.filter(({ reply }) => reply.state === 'claimed').map(({ id }) => id.key)
    expect(granted).toHaveLength(200)
    expect(new Set(granted).size).toBe(200)
    const record = await stores[0]?.get(ids[7] as OperationId)
    expect(record).toMatchObject({ attempt: 1, duplicates: 5 })
  }, 60_000)

  it('batches of claims, renewals, completions and releases that overlap in both directions refuse nobody', async () => {
    const stores = [open({ maxBatch: 16 }), open({ maxBatch: 16 })]
    const ids = Array.from({ length: 60 }, () => someId())
    const life = async (store: MysqlStore, id: OperationId) => {
      const reply = await store.claim(asks(id))
      if (reply.state !== 'claimed') return 0
      expect(await store.renew(reply.claim, LONG_MS)).toBe(true)
      expect(await store.release(reply.claim)).toBe(true)
      return 1
    }
    for (let round = 0; round < 4; round++) {
      const orders = [ids, [...ids].reverse()]
      const runs = orders.flatMap((order, index) => order.map((id) => life(stores[index] as MysqlStore, id)))
      const ran = (await Promise.all(runs)).reduce<number>((sum, one) => sum + one, 0)
      expect(ran).toBeGreaterThanOrEqual(60)
    }
  }, 60_000)

  it('sends 50 fresh claims in few statements, and as many completions', async () => {
    const store = open()
    await store.get(someId())
    const ids = Array.from({ length: 50 }, () => someId())
    let claims: Claim[] = []
    const claiming = await statements(async () => {
      claims = (await Promise.all(ids.map((id) => store.claim(asks(id))))).map(claimOf)
    })
    const completing = await statements(async () => {
      const done = claims.map((claim) => store.complete(claim, outcomeOf('receipt'), LONG_MS))
      expect(await Promise.all(done)).toEqual(claims.map(() => true))
    })
    // Other tests use the same server at the same time.
    expect(claiming.inserts).toBeGreaterThanOrEqual(1)
    expect(new Set(claims.map(({ fence }) => fence)).size).toBeLessThanOrEqual(3)
    expect(completing.inserts).toBeGreaterThanOrEqual(1)
    const records = await Promise.all(ids.map((id) => store.get(id)))
    expect(new Set(records.map((record) => record?.updatedAt)).size).toBeLessThanOrEqual(3)
    for (const record of records) {
      expect(record?.history.map(({ event, attempt }) => [event, attempt])).toEqual([
        ['claimed', 1],
        ['completed', 1],
      ])
      expect(record?.history[1]?.at).toBe(record?.updatedAt)
    }
  })

  it('tells the history of failures, empty values and notes as it was, whichever path wrote it', async () => {
    const store = open()
    const outcomes = [
      { kind: 'value', value: new Uint8Array(0) },
      { kind: 'failure', failure: { name: 'Declined "kind":"failure"', message: 'no 💳', effect: 'none' } },
      { kind: 'unreplayable', reason: '{"kind":"failure"}', note: new TextEncoder().encode('note') },
      { kind: 'unreplayable', reason: 'too large' },
    ] as const
    for (const outcome of outcomes) {
      const id = someId()
      await store.complete(await claimed(store, id), outcome, LONG_MS)
      const record = await store.get(id)
      const event = outcome.kind === 'failure' ? 'failed' : 'completed'
      expect(record?.history.at(-1)?.event).toBe(event)
      const plain = (value: unknown) =>
        JSON.parse(JSON.stringify(value, (_, field) => (field instanceof Uint8Array ? [...field] : field)))
      expect(plain({ ...record?.outcome })).toEqual(plain(outcome))
    }
  })

  it('stores values of 8 MB beside small ones, and tells which one is too large for the server', async () => {
    const store = open()
    const large = Buffer.alloc(8 * 1024 * 1024, 7)
    const ids = [someId(), someId(), someId()]
    const claims = await Promise.all(ids.map((id) => claimed(store, id)))
    const values = [large, Buffer.from('small'), Buffer.alloc(17 * 1024 * 1024)]
    const results = await Promise.allSettled(
      claims.map((claim, index) =>
        store.complete(claim, { kind: 'value', value: values[index] as Buffer }, LONG_MS),
      ),
    )
    expect(results.slice(0, 2)).toEqual([
      { status: 'fulfilled', value: true },
      { status: 'fulfilled', value: true },
    ])
    const refused = results[2]
    if (refused?.status !== 'rejected') throw new Error('a value larger than max_allowed_packet is refused')
    expect(isOncewardError(refused.reason, 'STORE_FULL')).toBe(true)
    expect(String(refused.reason)).toMatch(/max_allowed_packet/)
    const record = await store.get(ids[0] as OperationId)
    if (record?.outcome?.kind !== 'value') throw new Error('the large value is stored')
    expect(Buffer.compare(record.outcome.value, large)).toBe(0)
    expect(await store.get(ids[2] as OperationId)).toMatchObject({ state: 'running' })
  }, 60_000)

  it('keeps the bytes it was given, whatever the caller does with them before they are sent', async () => {
    const store = open()
    const id = someId()
    const claim = await claimed(store, id)
    const value = new TextEncoder().encode('receipt')
    const done = store.complete(claim, { kind: 'value', value }, LONG_MS)
    value.fill(0)
    expect(await done).toBe(true)
    const reply = await store.claim(asks(id))
    expect(
      reply.state === 'done' && reply.outcome.kind === 'value' && Buffer.from(reply.outcome.value).toString(),
    ).toBe('receipt')
  })

  it('gives the same claim to a request that is repeated, with a lease that counts from the repeat', async () => {
    const store = open()
    const request = asks(someId(), { leaseMs: 60_000 })
    const first = claimOf(await store.claim(request))
    const before = await store.get(request.id)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(claimOf(await store.claim(request))).toEqual(first)
    const after = await store.get(request.id)
    expect(after?.leaseUntil).toBeGreaterThan((before?.leaseUntil ?? 0) + 10)
    expect(after?.history).toHaveLength(1)
  })

  it('asks for the fences where the answer to an INSERT does not tell them', async () => {
    const pool = openPool()
    const silent = {
      async getConnection() {
        const connection = await pool.getConnection()
        return {
          query: (options: { sql: string }) => connection.query(options),
          async execute(options: { sql: string; values?: unknown[] }) {
            const [answer] = await connection.execute(options as { sql: string; values: string[] })
            return [Array.isArray(answer) ? answer : { ...answer, insertId: 0 }, undefined] as const
          },
          release: () => connection.release(),
          destroy: () => connection.destroy(),
        }
      },
    }
    const store = mysqlStore(silent)
    const requests = Array.from({ length: 5 }, () => asks(someId()))
    const claims = (await Promise.all(requests.map((request) => store.claim(request)))).map(claimOf)
    const done = claims.map((claim) => store.complete(claim, outcomeOf('receipt'), LONG_MS))
    expect(await Promise.all(done)).toEqual(claims.map(() => true))
    for (const { id, fence } of claims) {
      const record = await store.get(id)
      expect(record).toMatchObject({ fence, attempt: 1, state: 'done' })
      expect(record?.history).toHaveLength(2)
    }
    await store.transaction(async (tx) => {
      const claim = claimOf(await store.claimIn(tx, asks(someId())))
      expect(await store.completeIn(tx, claim, outcomeOf('receipt'), LONG_MS)).toBe(true)
    })
  })

  it('grants nothing on a statement that was held up for long: the claim is made with the time after the wait', async () => {
    const store = open()
    const pool = openPool()
    const [first, second] = [someId('a'), someId('b')].sort((a, b) => (a.digest < b.digest ? -1 : 1)) as [
      OperationId,
      OperationId,
    ]
    await store.get(first)
    const holder = await pool.getConnection()
    await holder.beginTransaction()
    claimOf(await store.claimIn(holder, asks(first)))
    const startedAt = Date.now()
    const waiting = Promise.all([store.claim(asks(first)), store.claim(asks(second))])
    await new Promise((resolve) => setTimeout(resolve, 400))
    await holder.rollback()
    holder.release()
    const replies = await within(10_000, 'both are granted', waiting)
    const [, late] = replies.map(claimOf)
    // In µs. The first was waiting itself; the second came after it in the same statement.
    expect((late?.fence ?? 0) / 1000).toBeGreaterThan(startedAt + 300)
  })

  it('lists, sweeps and purges 10,000 records in bounded steps', async () => {
    const store = open()
    const ids = Array.from({ length: 10_000 }, (_, index) =>
      operationId(index % 2 === 0 ? 'even' : 'odd', `key-${index}`),
    )
    for (let at = 0; at < ids.length; at += 1000) {
      const claims = await Promise.all(
        ids.slice(at, at + 1000).map((id) => claimed(store, id, { retentionMs: 1, leaseMs: 1 })),
      )
      const ended = claims.slice(0, 990).map((claim) => store.complete(claim, outcomeOf('x'), LONG_MS))
      await Promise.all(ended)
    }
    const seen = new Set<string>()
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await store.list({
        scope: 'odd',
        limit: 1000,
        ...(cursor === undefined ? {} : { cursor }),
      })
      for (const record of page.records) seen.add(record.id.key)
      cursor = page.cursor
      pages++
    } while (cursor !== undefined)
    expect(seen.size).toBe(5000)
    expect(pages).toBeLessThanOrEqual(6)
    expect(await store.sweep()).toBe(100)
    expect((await store.list({ state: 'held', limit: 1000 })).records).toHaveLength(100)
    expect(await store.stats()).toMatchObject({ done: 9900, held: 100, running: 0 })
    await openPool().query("UPDATE onceward_operations SET expires_at = 1 WHERE state = 'done'")
    await until(async () => (await store.purge(1)) === 1)
    expect(await store.purge()).toBe(1000)
    const [mine, theirs] = await Promise.all([store.purge(), open().purge()])
    expect(mine + theirs).toBeGreaterThanOrEqual(1000)
    while ((await store.purge()) > 0) expect(await store.stats()).toMatchObject({ held: 100 })
    expect(await store.stats()).toMatchObject({ done: 0, held: 100 })
  }, 120_000)

  it('a row that something else has changed is told as corrupt, with effect unknown, and disturbs no other', async () => {
    const store = open()
    const [broken, fine] = [someId(), someId()]
    await doneBy(store, broken)
    await openPool().query("UPDATE onceward_operations SET detail = 'nonsense' WHERE digest = ?", [
      broken.digest,
    ])
    const [claim, other] = await Promise.allSettled([store.claim(asks(broken)), store.claim(asks(fine))])
    if (claim.status !== 'rejected') throw new Error('the broken row is told')
    expect(isOncewardError(claim.reason, 'STORE_CORRUPT') && claim.reason.effect).toBe('unknown')
    expect(other.status).toBe('fulfilled')
  })

  it('the doctor names what weakens the guarantees, and works without a schema', async () => {
    const findings = await open().doctor()
    const level = (check: string) => findings.find((one) => one.check === check)?.level
    for (const check of [
      'schema',
      'version',
      'write',
      'clock',
      'packet',
      'grants',
      'engine',
      'lapsed',
      'expired',
    ])
      expect([check, level(check)]).toEqual([check, 'ok'])
    // The test server does not flush at each commit.
    expect(level('durability')).toBe('warn')
    const empty = await mariadb.createDatabase()
    const pool = createPool({ uri: empty.url })
    expect((await mysqlStore(pool).doctor()).find(({ check }) => check === 'schema')?.level).toBe('fail')
    await pool.end()
    await empty.drop()
  })

  it('the doctor does not take an answer that was long on its way for a difference of clocks', async () => {
    let late = 0
    const now = () => Date.now() + 4000 * late++
    const findings = await open({ clock: { now, monotonic: () => performance.now() } }).doctor()
    expect(findings.find(({ check }) => check === 'clock')).toMatchObject({ level: 'ok' })
    expect(late, 'it has looked at the clock before and after').toBe(2)
  })

  it('options and handles that make no sense are refused before anything is asked', async () => {
    const pool = openPool()
    expect(() => mysqlStore(pool, { queryTimeout: 1 } as never)).toThrow(/unknown field "queryTimeout"/)
    expect(() => mysqlStore(pool, { maxBatch: 0 })).toThrow(/maxBatch/)
    expect(() => mysqlStore(pool, { lockTimeoutMs: -1 })).toThrow(/lockTimeoutMs/)
    const connection = await pool.getConnection()
    expect(() => mysqlStore(connection as never)).toThrow(/once\.within\(\)/)
    connection.release()
    const store = open()
    await expect(store.claim(asks(someId(), { owner: 'x'.repeat(256) }))).rejects.toThrow(TypeError)
    await expect(store.claim(asks(someId(), { fingerprint: 'x'.repeat(256) }))).rejects.toThrow(TypeError)
  })

  it('a caller that came too late changes nothing of its successor, in whatever way it ends', async () => {
    const store = open()
    const id = someId()
    const stale = await claimed(store, id, { leaseMs: 1, onCrash: 'rerun' })
    await new Promise((resolve) => setTimeout(resolve, 20))
    const successor = await claimed(store, id)
    const before = await store.get(id)
    const late = await Promise.all([
      store.complete(stale, outcomeOf('late'), LONG_MS),
      store.renew(stale, LONG_MS),
      store.release(stale, { name: 'Late', message: 'failing', effect: 'none' }),
      store.hold(stale, 'late'),
    ])
    expect(late).toEqual([false, false, false, false])
    expect(await store.get(id)).toEqual(before)
    expect(await store.complete(successor, outcomeOf('receipt'), LONG_MS)).toBe(true)
  })

  it('an operation runs once over two instances, and everybody gets its value with its type', async () => {
    const instances = [open(), open()].map((store) => createOnce({ store, scope: 'payments', cache: false }))
    let runs = 0
    const values = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        instances[index % 2]?.run({ key: 'order-1', input: { amount: 5 } }, async () => {
          runs++
          return { at: new Date(0), total: 10n, none: undefined }
        }),
      ),
    )
    expect(runs).toBe(1)
    for (const value of values) expect(value).toEqual({ at: new Date(0), total: 10n, none: undefined })
    await expect(
      instances[1]?.run({ key: 'order-1', input: { amount: 6 } }, () => 'other'),
    ).rejects.toMatchObject({ code: 'KEY_REUSED' })
  })

  it('keys that differ in case, accents, width or trailing spaces are different, under a collation that folds them', async () => {
    const other = await mariadb.createDatabase()
    const root = createPool({ uri: other.url })
    await root.query(`ALTER DATABASE ${other.name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`)
    const store = mysqlStore(root, { autoMigrate: true })
    const keys = ['Order', 'order', 'order ', 'ordér', 'ｏrder', "o'rder", 'or\\der', '🧾'.repeat(63)]
    for (const key of keys) await doneBy(store, operationId('shop', key), key)
    for (const key of keys) {
      const { records } = await store.list({ scope: 'shop', keyPrefix: key })
      expect(records.filter(({ id }) => id.key === key)).toHaveLength(1)
    }
    expect((await store.list({ scope: 'SHOP' })).records).toEqual([])
    await root.end()
    await other.drop()
  })

  const until = async (condition: () => Promise<boolean>) => {
    while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
  }
})
