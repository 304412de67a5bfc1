/** What is particular to one database: who waits for whom, what is refused, and what answers at once. */
// biome-ignore-all lint/nursery/useAwaitThenable: what answers at once on one driver answers later on another.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnection, createPool } from 'mysql2/promise'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { createOnce } from '../../src/core/index.ts'
import { openSqlite, type SqliteHandle } from '../../src/drivers/sqlite/index.ts'
import { declareGraph, insertOnce, transition, updateVersioned, withRow } from '../../src/sql/index.ts'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { quietPool } from './quiet-pool.ts'

const ITEMS =
  'CREATE TABLE items (id VARCHAR(40) PRIMARY KEY, status VARCHAR(40), stock integer, version bigint DEFAULT 1)'
const FILL = "INSERT INTO items (id, status, stock) VALUES ('a', 'free', 5), ('b', 'free', 5)"
const graph = declareGraph({ free: ['taken'], taken: [] })

describe('guards on SQLite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-guards-'))
  const open = (): SqliteHandle => {
    const handle = openSqlite(join(folder, 'items.sqlite'))
    handle.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 0')
    return handle
  }
  const [one, two] = [open(), open()]
  one.exec(ITEMS)
  beforeEach(() => one.exec(`DELETE FROM items; ${FILL}`))
  afterAll(() => {
    one.close()
    two.close()
    rmSync(folder, { recursive: true })
  })

  it('answer at once, so that they fit into a synchronous transaction, and throw at once', () => {
    expect(transition(one, { table: 'items', id: 'a', to: 'taken', graph })).toMatchObject({ won: true })
    expect(updateVersioned(one, { table: 'items', id: 'a', version: 7, set: {} })).toMatchObject({
      version: 1,
    })
    expect(insertOnce(one, { table: 'items', values: { id: 'a' }, unique: ['id'] })).toMatchObject({
      won: false,
    })
    one.exec('BEGIN IMMEDIATE')
    const stock = withRow(one, { table: 'items', id: 'a' }, (row: { stock: number }, update) => {
      update({ stock: row.stock - 1 })
      return row.stock
    })
    one.exec('COMMIT')
    expect(stock).toEqual({ outcome: 'done', won: true, value: 5, created: false })
    expect(one.prepare("SELECT stock FROM items WHERE id = 'a'").get()).toEqual({ stock: 4 })
    expect(() => transition(one, { table: 'items; --', id: 'a', to: 'taken', graph })).toThrow(TypeError)
  })

  it('refuse a state that the graph does not have, as it is compiled and as it runs', () => {
    // @ts-expect-error The graph has no such state.
    const misspelt = () => transition(one, { table: 'items', id: 'a', to: 'tkaen', graph })
    expect(misspelt).toThrow(/"tkaen" is no state/)
    // @ts-expect-error Nor this one.
    const lost = () => transition(one, { table: 'items', id: 'a', from: 'lost', to: 'taken', graph })
    expect(lost).toThrow(/"lost" is no state/)
  })

  it('refuse what is no handle, with all that would do on any database', async () => {
    const store = sqliteStore(':memory:')
    for (const nothing of [undefined, {}, 'items.sqlite', store]) {
      const taken = async () => transition(nothing, { table: 'items', id: 'a', to: 'taken', graph })
      const locked = async () => withRow(nothing, { table: 'items', id: 'a' }, () => 'ran')
      for (const attempt of [taken, locked])
        await expect(attempt).rejects.toThrow(/on PostgreSQL; of mysql2.*; of node:sqlite.*store\.database/)
    }
    await store.close()
  })

  it('refuse to lock a row where no transaction is open', () => {
    expect(() => withRow(one, { table: 'items', id: 'a' }, () => 'ran')).toThrow(/BEGIN IMMEDIATE/)
  })

  it('keep out another writer from the moment the row is read, also in a transaction that was begun as deferred', () => {
    one.exec('BEGIN')
    two.exec('BEGIN')
    withRow(one, { table: 'items', id: 'a' }, (row: { stock: number }, update) => {
      const late = () => withRow(two, { table: 'items', id: 'a' }, () => 'ran')
      expect(late).toThrow(/locked/)
      update({ stock: row.stock - 1 })
    })
    two.exec('ROLLBACK')
    one.exec('COMMIT')
  })

  it('take part in a transaction of once, whose duplicates replay', async () => {
    const store = sqliteStore(one)
    await store.migrate()
    const once = createOnce({ store, scope: 'items' })
    const take = () =>
      once.transaction({ key: 'take a' }, (tx: SqliteHandle) => {
        const moved = transition(tx, { table: 'items', id: 'a', to: 'taken', graph })
        return withRow(tx, { table: 'items', id: 'b' }, (_, update) => {
          update({ stock: 1 })
          return moved.outcome
        })
      })
    const answers = await Promise.all([take(), take()])
    expect(answers).toEqual([
      { outcome: 'done', won: true, value: 'moved', created: false },
      { outcome: 'done', won: true, value: 'moved', created: false },
    ])
    await once.close()
    await store.close()
  })

  it('pass on what the body throws, and end its update', () => {
    one.exec('BEGIN IMMEDIATE')
    let late: ((set: { stock: number }) => void) | undefined
    const boom = new Error('boom')
    const failing = () =>
      withRow(one, { table: 'items', id: 'a' }, (_, update) => {
        late = update
        throw boom
      })
    expect(failing).toThrow(boom)
    expect(() => late?.({ stock: 0 })).toThrow(/has ended/)
    one.exec('ROLLBACK')
  })
})

await describeWith('postgres', 'guards on PostgreSQL', ({ postgres }) => {
  let database: TestDatabase
  let pool: pg.Pool
  beforeAll(async () => {
    database = await postgres.createDatabase()
    pool = quietPool(database.url, 5)
    await pool.query(
      `${ITEMS}; CREATE SCHEMA shop; CREATE TABLE shop.votes (id integer, poll integer UNIQUE)`,
    )
  })
  afterAll(async () => {
    await pool.end()
    await database.drop()
  })
  beforeEach(() => pool.query(`DELETE FROM items; DELETE FROM shop.votes; ${FILL}`))
  const inTransaction = async <T>(
    body: (client: pg.PoolClient) => Promise<T>,
    end = 'COMMIT',
  ): Promise<T> => {
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const value = await body(client)
      await client.query(end)
      return value
    } finally {
      client.release(true)
    }
  }
  const vote = (client: pg.PoolClient, id: number) =>
    insertOnce<{ id: number }>(client, {
      table: 'shop.votes',
      values: { id, poll: 1 },
      unique: ['poll'],
      returning: true,
    })
  const isWaiting = () =>
    expect
      .poll(
        async () =>
          (await pool.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).rowCount,
      )
      .toBeGreaterThan(0)

  it.each([
    ['COMMIT', { outcome: 'existing', won: false, row: { id: 1, poll: 1 } }],
    ['ROLLBACK', { outcome: 'inserted', won: true, row: { id: 2, poll: 1 } }],
  ])(
    'wait for another who has inserted the same, and answer what is there after his %s',
    async (end, answer) => {
      let second: Promise<unknown> | undefined
      await inTransaction(async (client) => {
        await vote(client, 1)
        second = inTransaction((other) => vote(other, 2))
        await isWaiting()
      }, end)
      expect(await second).toEqual(answer)
    },
  )

  it('make the second of two who lock a row see what the first has written', async () => {
    const take = (client: pg.PoolClient, then: () => Promise<unknown>) =>
      withRow(client, { table: 'items', id: 'a' }, async (row: { stock: number }, update) => {
        await then()
        await update({ stock: row.stock - 1 })
        return row.stock
      })
    let second: Promise<unknown> | undefined
    await inTransaction((client) =>
      take(client, async () => {
        second = inTransaction((other) => take(other, async () => {}))
        await isWaiting()
      }),
    )
    expect(await second).toMatchObject({ value: 4 })
  })

  it('refuse a pool, and a client on which no transaction is open where a lock would not last', async () => {
    const refused = transition(pool, { table: 'items', id: 'a', to: 'taken', graph })
    await expect(refused).rejects.toThrow(/take a client/)
    const client = await pool.connect()
    await expect(withRow(client, { table: 'items', id: 'a' }, () => 'ran')).rejects.toThrow(/BEGIN/)
    expect(await transition(client, { table: 'items', id: 'a', to: 'taken', graph })).toMatchObject({
      won: true,
    })
    client.release()
  })

  it('refuse an id that several rows have, so that the caller rolls back', async () => {
    const stock = inTransaction((client) =>
      transition(client, { table: 'items', idColumn: 'status', id: 'free', column: 'stock', from: 5, to: 4 }),
    )
    await expect(stock).rejects.toThrow(/2 rows of items have this id/)
  })

  it('take part in a transaction of once, whose duplicates replay', async () => {
    const store = postgresStore(pool, { autoMigrate: true })
    const once = createOnce({ store, scope: 'items' })
    const take = () =>
      once.transaction({ key: 'take a' }, async (tx: pg.PoolClient) => {
        const moved = await transition(tx, { table: 'items', id: 'a', to: 'taken', graph })
        return moved.outcome
      })
    expect(await Promise.all([take(), take()])).toEqual(['moved', 'moved'])
    await once.close()
  })
})

await describeWith('mariadb', 'guards on MariaDB', ({ mariadb }) => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await mariadb.createDatabase()
    await mariadb.query(ITEMS, [], database.name)
  })
  afterAll(() => database.drop())
  beforeEach(async () => {
    await mariadb.query('DELETE FROM items', [], database.name)
    await mariadb.query(FILL, [], database.name)
  })

  describe.each(['-FOUND_ROWS', '+FOUND_ROWS'])('over a connection with %s', (flag) => {
    let connection: Awaited<ReturnType<typeof createConnection>>
    beforeAll(async () => {
      connection = await createConnection({ uri: database.url, flags: [flag] })
    })
    afterAll(() => connection.end())
    beforeEach(() => connection.beginTransaction())
    // What fails must not keep its locks.
    afterEach(() => connection.rollback())

    it('tell who has inserted, whatever rows the connection counts', async () => {
      const insert = (stock: number) =>
        insertOnce(connection, {
          table: `${database.name}.items`,
          values: { id: 'c', stock },
          unique: ['id'],
          returning: ['stock'],
        })
      expect(await insert(1)).toEqual({ outcome: 'inserted', won: true, row: { stock: 1 } })
      expect(await insert(1)).toEqual({ outcome: 'existing', won: false, row: { stock: 1 } })
      expect(await insert(2)).toEqual({ outcome: 'existing', won: false, row: { stock: 1 } })
    })

    it('write a row that is as it should be already', async () => {
      const updated = await updateVersioned(connection, {
        table: 'items',
        id: 'a',
        version: 1,
        set: { stock: 5 },
      })
      expect(updated).toMatchObject({ won: true })
      const same = await withRow(connection, { table: 'items', id: 'a' }, (_, update) => update({ stock: 5 }))
      expect(same).toMatchObject({ won: true })
    })

    it('take no number for a text that is none', async () => {
      for (const id of [0, 0n]) {
        const moved = await transition(connection, { table: 'items', id, to: 'taken', graph })
        expect(moved).toEqual({ outcome: 'missing', won: false })
      }
    })

    it('leave what is too long an error, and refuse a lock without a transaction', async () => {
      const long = insertOnce(connection, { table: 'items', values: { id: 'x'.repeat(41) }, unique: ['id'] })
      await expect(long).rejects.toMatchObject({ errno: 1406 })
      await connection.rollback()
      await expect(withRow(connection, { table: 'items', id: 'a' }, () => 'ran')).rejects.toThrow(/BEGIN/)
    })
  })

  it('take part in a transaction of once, whose duplicates replay', async () => {
    const pool = createPool({ uri: database.url, connectionLimit: 5 })
    const store = mysqlStore(pool, { autoMigrate: true })
    const once = createOnce({ store, scope: 'items' })
    const take = () =>
      once.transaction({ key: 'take a' }, async (tx) => {
        const moved = await transition(tx, { table: 'items', id: 'a', to: 'taken', graph })
        return moved.outcome
      })
    expect(await Promise.all([take(), take()])).toEqual(['moved', 'moved'])
    await once.close()
    await store.close()
    await pool.end()
  })
})
