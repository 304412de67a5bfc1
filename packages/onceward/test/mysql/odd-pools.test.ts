import { createPool, type PoolOptions } from 'mysql2/promise'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { asks, claimed, LONG_MS, outcomeOf, someId } from '../../src/testing/case-kit.ts'

await describeWith('mariadb', 'the MySQL store on a pool that is set up oddly', ({ mariadb }) => {
  let database: TestDatabase
  const ends: (() => Promise<unknown>)[] = []
  const openPool = (options: PoolOptions = {}, ...settings: string[]) => {
    const pool = createPool({ uri: database.url, connectionLimit: 4, ...options })
    for (const setting of settings) pool.on('connection', (connection) => void connection.query(setting))
    ends.push(() => pool.end())
    return pool
  }
  beforeEach(async () => {
    database = await mariadb.createDatabase()
    await mysqlStore(openPool()).migrate()
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
    await database.drop()
  })

  it('a transaction that somebody has left open on a connection swallows no claim and no completion', async () => {
    const pool = openPool({ connectionLimit: 1 })
    const store = mysqlStore(pool)
    const leaveOpen = async (how: string) => {
      const connection = await pool.getConnection()
      await connection.query(how)
      connection.release()
    }
    const elsewhere = mysqlStore(openPool())
    for (const how of ['START TRANSACTION', 'SET SESSION autocommit = 0']) {
      const id = someId()
      // The store has looked at the connection before.
      await store.get(id)
      await leaveOpen(how)
      const claim = await claimed(store, id)
      expect(await elsewhere.get(id)).toMatchObject({ state: 'running' })
      await leaveOpen(how)
      expect(await store.complete(claim, outcomeOf('receipt'), LONG_MS)).toBe(true)
      expect(await elsewhere.get(id)).toMatchObject({ state: 'done' })
    }
  })

  it('a pool on which every connection begins a transaction is told so, and nothing is granted', async () => {
    const store = mysqlStore(openPool({ connectionLimit: 1 }, 'START TRANSACTION'))
    await expect(store.claim(asks(someId()))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      effect: 'none',
      message: expect.stringMatching(/transaction left open.*commit or roll back/),
    })
  })

  it('a COMMIT that would begin the next transaction leaves none behind', async () => {
    const store = mysqlStore(openPool({ connectionLimit: 1 }, 'SET SESSION completion_type = 1'))
    const elsewhere = mysqlStore(openPool())
    const id = someId()
    const claim = await claimed(store, id)
    expect(await store.checkpoint(claim, { name: 'step', state: 'done', onCrash: 'hold' })).toBe(true)
    expect(await store.renew(claim, LONG_MS)).toBe(true)
    expect(await store.release(claim)).toBe(true)
    expect(await elsewhere.get(id)).toMatchObject({ state: 'released' })
    expect(await store.transaction(() => 'work')).toBe('work')
    const next = someId()
    await claimed(store, next)
    expect(await elsewhere.get(next)).toMatchObject({ state: 'running' })
  })

  for (const mode of ['EMPTY_STRING_IS_NULL', 'EMPTY_STRING_IS_NULL,STRICT_ALL_TABLES', 'ORACLE']) {
    it(`what is empty is stored and replayed as such under sql_mode ${mode}, one call or many`, async () => {
      const store = mysqlStore(openPool({}, `SET SESSION sql_mode = '${mode}'`))
      const empty = { kind: 'value', value: new Uint8Array(0) } as const
      const life = async () => {
        const id = someId()
        const claim = await claimed(store, id, { fingerprint: '' })
        expect(await store.claim(asks(id, { fingerprint: 'other' }))).toEqual({ state: 'reused' })
        expect(await store.complete(claim, empty, LONG_MS)).toBe(true)
        expect(await store.claim(asks(id))).toMatchObject({ state: 'done', outcome: empty })
      }
      for (const count of [1, 8]) await Promise.all(Array.from({ length: count }, life))
    })
  }

  for (const setting of ['sql_safe_updates = 1', 'sql_big_selects = 0', 'sql_select_limit = 2']) {
    it(`${setting} is refused before anything is granted`, async () => {
      const store = mysqlStore(openPool({}, `SET SESSION ${setting}`))
      await expect(store.claim(asks(someId()))).rejects.toMatchObject({
        code: 'STORE_MISCONFIGURED',
        effect: 'none',
        message: expect.stringContaining(setting.split(' ')[0] ?? ''),
      })
    })
  }
})
