import { createPool, type Pool, type PoolOptions } from 'mysql2/promise'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../../test-servers/index.mjs'
import { operationId } from '../../core/identity.ts'
import type { Claim, OperationId, Outcome } from '../../core/operation.ts'
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

  it('completions of records that are gone are refused, and leave nothing behind', async () => {
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
    const [rows] = await pool.query('SELECT COUNT(*) AS count FROM onceward_operations')
    expect(rows).toEqual([{ count: 5 }])
    const again = await claimed(store, gone[0] as OperationId)
    expect(await complete(again)).toBe(true)
    expect((await store.list({})).records).toHaveLength(6)
    expect(await store.stats()).toMatchObject({ done: 6, released: 0, running: 0, held: 0 })
  })

  it('completions wait for nobody who has locked the gap where a record is gone', async () => {
    const pool = openPool()
    const store = mysqlStore(pool, { queryTimeoutMs: 5000 })
    const claims = await Promise.all(Array.from({ length: 8 }, () => claimed(store, someId())))
    const gone = claims[3] as Claim
    await pool.query('DELETE FROM onceward_operations WHERE digest = ?', [gone.id.digest])
    const other = await pool.getConnection()
    await other.query('START TRANSACTION')
    await other.query('SELECT * FROM onceward_operations WHERE digest = ? FOR UPDATE', [gone.id.digest])
    const done = claims.map((claim) => store.complete(claim, outcomeOf('receipt'), LONG_MS))
    const accepted = await Promise.allSettled(done).finally(() => other.query('ROLLBACK'))
    other.release()
    expect(accepted).toEqual(claims.map((claim) => ({ status: 'fulfilled', value: claim !== gone })))
  })

  it('completions of one batch may be values, failures and what cannot be replayed', async () => {
    const store = mysqlStore(openPool())
    const outcomes: readonly Outcome[] = [
      outcomeOf('receipt'),
      {
        kind: 'failure',
        failure: { name: 'Declined', message: 'no \u{1f4b3}'.repeat(9000), effect: 'none' },
      },
      { kind: 'value', value: new Uint8Array(0) },
      { kind: 'unreplayable', reason: 'too large', note: new Uint8Array([1, 2]) },
      { kind: 'unreplayable', reason: 'not known' },
      { kind: 'value', value: new Uint8Array([3, 4, 5]) },
    ]
    for (const batch of [outcomes, outcomes.slice(1, 4), outcomes.slice(3, 5)]) {
      const claims = await Promise.all(batch.map(() => claimed(store, someId())))
      const complete = (claim: Claim, index: number) =>
        store.complete(claim, batch[index] as Outcome, LONG_MS)
      expect(await Promise.all(claims.map(complete))).toEqual(batch.map(() => true))
      expect(await Promise.all(claims.map(complete)), 'their replies were lost').toEqual(
        batch.map(() => true),
      )
      for (const [index, { id, fence }] of claims.entries()) {
        const record = await store.get(id)
        expect(record?.outcome).toEqual(batch[index])
        const event = batch[index]?.kind === 'failure' ? 'failed' : 'completed'
        expect(record?.history.map((entry) => [entry.event, entry.fence])).toEqual([
          ['claimed', fence],
          [event, fence],
        ])
      }
    }
  })
})
