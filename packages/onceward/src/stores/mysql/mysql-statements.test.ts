import { createPool, type Pool, type PoolOptions } from 'mysql2/promise'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../../test-servers/index.mjs'
import { operationId } from '../../core/identity.ts'
import type { Claim, OperationId } from '../../core/operation.ts'
import { asks, claimed, finished, LONG_MS, outcomeOf, someId } from '../../testing/case-kit.ts'
import { mysqlStore } from './index.ts'

await describeWith('mariadb', 'the statements of the MySQL store', ({ mariadb }) => {
  let database: TestDatabase
  const pools: Pool[] = []
  const openPool = (options: PoolOptions = {}) => {
    const pool = createPool({ uri: database.url, connectionLimit: 10, ...options })
    pools.push(pool)
    return pool
  }
  beforeEach(async () => {
    database = await mariadb.createDatabase()
    await mysqlStore(openPool()).migrate()
  })
  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.end()))
    await database.drop()
  })

  it('has the server make no table on disk for what it writes, one call or many', async () => {
    const pool = openPool({ connectionLimit: 1 })
    const store = mysqlStore(pool)
    const onDisk = async () => {
      const [rows] = await pool.query("SHOW SESSION STATUS LIKE 'Created_tmp_disk_tables'")
      return rows
    }
    const life = async (steps: boolean) => {
      const claim = await claimed(store, someId())
      if (steps) expect(await store.checkpoint(claim, finished('charge', 'charged'))).toBe(true)
      expect(await store.renew(claim, LONG_MS)).toBe(true)
      expect(await store.complete(claim, outcomeOf('receipt'), LONG_MS)).toBe(true)
    }
    await store.get(someId())
    const before = await onDisk()
    for (const count of [1, 6])
      await Promise.all(Array.from({ length: count }, (_, index) => life(index > 2)))
    await life(true)
    expect(await onDisk()).toEqual(before)
  })

  it('keeps of each claim of a batch what was asked for it, whether the claims are alike or not', async () => {
    const store = mysqlStore(openPool())
    const differing = [
      asks(someId('plain')),
      asks(someId('other scope', 'shop \u{1f6d2}')),
      asks(someId('lease'), { leaseMs: 5000 }),
      asks(someId('retention'), { retentionMs: 77_000 }),
      asks(someId('rerun'), { onCrash: 'rerun' }),
      asks(someId('print'), { fingerprint: 'gedruckt \u00e4' }),
      asks(someId('nul \0')),
    ]
    for (const batch of [
      differing,
      ...differing.map((one) => [one, { ...one, id: someId(undefined, one.id.scope) }]),
    ]) {
      const fresh = batch.map((one) => ({
        ...one,
        id: operationId(one.id.scope, `${one.id.key} ${batch.length}`),
      }))
      await Promise.all(fresh.map((one) => store.claim(one)))
      for (const { id, owner, leaseMs, retentionMs, onCrash, fingerprint } of fresh) {
        const record = await store.get(id)
        expect(record).toMatchObject({ id, owner, retentionMs, onCrash })
        expect(record?.fingerprint).toBe(fingerprint)
        expect((record?.leaseUntil ?? 0) - (record?.createdAt ?? 0)).toBe(leaseMs)
      }
    }
  })

  it('completions of records that are gone are refused, and leave nothing that counts', async () => {
    const pool = openPool()
    const store = mysqlStore(pool)
    const ids = Array.from({ length: 8 }, () => someId())
    const claims = await Promise.all(ids.map((id) => claimed(store, id)))
    const gone = ids.slice(0, 3)
    await pool.query('DELETE FROM onceward_operations WHERE digest IN (?)', [
      gone.map(({ digest }) => digest),
    ])
    const complete = (claim: Claim) => store.complete(claim, outcomeOf('receipt'), LONG_MS)
    const expected = ids.map((id) => !gone.includes(id))
    expect(await Promise.all(claims.map(complete))).toEqual(expected)
    expect(await Promise.all(claims.map(complete))).toEqual(expected)
    for (const claim of claims.slice(0, 3)) expect(await complete(claim)).toBe(false)
    expect(await Promise.all(gone.map((id) => store.get(id)))).toEqual(gone.map(() => undefined))
    expect((await store.list({})).records).toHaveLength(5)
    expect(await store.stats()).toMatchObject({ done: 5, released: 0, running: 0, held: 0 })
    const again = await claimed(store, gone[0] as OperationId)
    expect(await complete(again)).toBe(true)
    await store.purge()
    const [rows] = await pool.query('SELECT COUNT(*) AS count FROM onceward_operations')
    expect(rows).toEqual([{ count: 6 }])
  })
})
