import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../../../../test-servers/index.mjs'
import { openSqlite } from '../drivers/sqlite/index.ts'
import type { FencedWrite } from './fenced.ts'
import { type FencedRowUpdate, fencedRow } from './fenced-row.ts'

/** A database with the table `orders`, and how tests talk to it. */
interface Shop {
  readonly tx: unknown
  run(sql: string): Promise<unknown>
  all(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

const CREATE =
  'CREATE TABLE orders (id VARCHAR(40) PRIMARY KEY, status VARCHAR(40) NOT NULL, note VARCHAR(400), last_fence BIGINT)'

function refusesSmallerFences(shop: () => Shop): void {
  const cancel = (fence: number, more: Partial<FencedRowUpdate> = {}): Promise<FencedWrite | 'missing'> =>
    fencedRow(shop().tx, {
      table: 'orders',
      where: { id: 'a' },
      set: { status: `by ${fence}` },
      fence,
      ...more,
    })
  const statusOf = async (id: string) =>
    (await shop().all(`SELECT status FROM orders WHERE id = '${id}'`))[0]?.['status']

  beforeEach(async () => {
    await shop().run('DELETE FROM orders')
    await shop().run("INSERT INTO orders (id, status) VALUES ('a', 'unpaid'), ('b', 'unpaid')")
  })

  it('writes with a greater or an equal fence, and refuses a smaller one', async () => {
    expect(await cancel(1_795_000_000_000_001)).toBe('written')
    expect(await cancel(1_795_000_000_000_000)).toBe('stale')
    expect(await cancel(1_795_000_000_000_001)).toBe('written')
    expect(await cancel(1_795_000_000_000_002)).toBe('written')
    expect(await statusOf('a')).toBe('by 1795000000000002')
    expect(await statusOf('b')).toBe('unpaid')
  })

  it('tells a row that is not there, or not in that state, from one that refuses', async () => {
    expect(await cancel(5, { where: { id: 'none' } })).toBe('missing')
    expect(await cancel(5, { where: { id: 'a', status: 'paid' } })).toBe('missing')
    expect(await cancel(5, { where: { id: 'a', note: null, status: 'unpaid' } })).toBe('written')
    expect(await cancel(4, { where: { id: 'a', note: null } })).toBe('stale')
  })

  it('keeps what it is given as values, whatever it looks like', async () => {
    const note = `'; DROP TABLE orders; -- \\' "x" $1 ? ünï`
    expect(await cancel(5, { set: { note, status: 'x' } })).toBe('written')
    expect((await shop().all("SELECT note FROM orders WHERE id = 'a'"))[0]?.['note']).toBe(note)
    expect(await cancel(6, { where: { note }, set: {} })).toBe('written')
  })

  it('refuses names that are not plain, values that are none, and a lease without a fence', async () => {
    await expect(cancel(1, { table: 'orders; DROP TABLE orders' })).rejects.toThrow(/plain name/)
    await expect(cancel(1, { set: { 'status = 1, note': 'x' } })).rejects.toThrow(/plain name/)
    await expect(cancel(1, { where: { 'id" = 1 OR "id': 'x' } })).rejects.toThrow(/plain name/)
    await expect(cancel(1, { fenceColumn: 'a.b' })).rejects.toThrow(/plain name/)
    await expect(cancel(1, { table: 'a.b.c' })).rejects.toThrow(/schema.name/)
    await expect(cancel(1, { where: {} })).rejects.toThrow(/needs where/)
    // @ts-expect-error What is not set is left out.
    await expect(cancel(1, { set: { note: undefined } })).rejects.toThrow(/a column takes/)
    await expect(cancel(1, { set: { note: new Date(Number.NaN) } })).rejects.toThrow(/a column takes/)
    // @ts-expect-error A lease of Redlock has no fence.
    await expect(cancel(1, { fence: undefined })).rejects.toThrow(/backend with fencing/)
    expect(await statusOf('a')).toBe('unpaid')
  })
}

describe('fencedRow on SQLite', () => {
  const database = openSqlite(':memory:')
  database.exec(CREATE)
  refusesSmallerFences(() => ({
    tx: database,
    run: async (sql) => database.exec(sql),
    all: async (sql) => database.prepare(sql).all() as Readonly<Record<string, unknown>>[],
  }))
})

await describeWith('postgres', 'fencedRow on PostgreSQL', ({ postgres }) => {
  let database: TestDatabase
  let client: pg.Client
  beforeAll(async () => {
    database = await postgres.createDatabase()
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query(CREATE)
  })
  afterAll(async () => {
    await client.end()
    await database.drop()
  })
  refusesSmallerFences(() => ({
    tx: client,
    run: (sql) => client.query(sql),
    all: async (sql) => (await client.query(sql)).rows,
  }))

  it('is undone with the transaction that it was part of', async () => {
    await client.query('BEGIN')
    const update = { table: 'public.orders', where: { id: 'a' }, set: { status: 'x' }, fence: 5 }
    expect(await fencedRow(client, update)).toBe('written')
    await client.query('ROLLBACK')
    expect((await client.query("SELECT status, last_fence FROM orders WHERE id = 'a'")).rows).toEqual([
      { status: 'unpaid', last_fence: null },
    ])
  })

  it('refuses a pool, on which nobody knows the transaction', async () => {
    const pool = new pg.Pool({ connectionString: database.url })
    const update = { table: 'orders', where: { id: 'a' }, set: {}, fence: 5 }
    await expect(fencedRow(pool, update)).rejects.toThrow(/take a client/)
    await pool.end()
  })
})

await describeWith('mariadb', 'fencedRow on MariaDB', ({ mariadb }) => {
  let database: TestDatabase
  let connection: Awaited<ReturnType<typeof createConnection>>
  beforeAll(async () => {
    database = await mariadb.createDatabase()
    connection = await createConnection({ uri: database.url, flags: ['-FOUND_ROWS'] })
    await connection.query(CREATE)
  })
  afterAll(async () => {
    await connection.end()
    await database.drop()
  })
  refusesSmallerFences(() => ({
    tx: connection,
    run: (sql) => connection.query(sql),
    all: async (sql) => (await connection.query(sql))[0] as Readonly<Record<string, unknown>>[],
  }))

  it.each(['-FOUND_ROWS', '+FOUND_ROWS'])(
    'refuses a transaction that looked before the greater fence came (%s)',
    async (flag) => {
      const late = await createConnection({ uri: database.url, flags: [flag] })
      const update = { table: 'orders', where: { id: 'a', status: 'unpaid' }, set: { note: 'x' } }
      expect(await fencedRow(connection, { ...update, fence: 5 })).toBe('written')
      await late.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
      await late.beginTransaction()
      await late.query('SELECT * FROM orders')
      expect(await fencedRow(connection, { ...update, fence: 9 })).toBe('written')
      for (const fence of [5, 6, 8]) expect(await fencedRow(late, { ...update, fence })).toBe('stale')
      await late.rollback()
      await late.beginTransaction()
      await late.query('SELECT * FROM orders')
      expect(await fencedRow(connection, { ...update, set: { status: 'cancelled' }, fence: 10 })).toBe(
        'written',
      )
      for (const fence of [9, 11]) expect(await fencedRow(late, { ...update, fence })).toBe('missing')
      await late.end()
    },
  )
})
