/** What the guards of `onceward/sql` do, in the transactions of any package. */
// biome-ignore-all lint/nursery/useAwaitThenable: one suite for drivers that answer at once and for those that answer later.
import { beforeEach, expect, it } from 'vitest'
import {
  declareGraph,
  type InsertionResult,
  insertOnce,
  transition,
  updateVersioned,
  withRow,
} from '../../src/sql/index.ts'

/** A database with {@link TABLES}, and one package that begins transactions on it. */
export interface Shop {
  /** Runs `work` in a transaction of the package: commits, or rolls back and throws on what it has thrown. */
  transaction<T>(work: (tx: unknown) => Promise<T>): Promise<T>
  /** Runs a statement of the test by itself. */
  sql(text: string): Promise<readonly Readonly<Record<string, unknown>>[]>
}

/** The tables of the suite, in the words of each database. */
export function tables(dialect: 'postgres' | 'mysql' | 'sqlite'): readonly string[] {
  const [serial, json, bytes, time, wide] = {
    postgres: ['serial PRIMARY KEY', 'jsonb', 'bytea', 'timestamptz', 'bigint'],
    mysql: ['integer AUTO_INCREMENT PRIMARY KEY', 'json', 'blob', 'datetime(3)', 'bigint'],
    sqlite: ['integer PRIMARY KEY', 'text', 'blob', 'text', 'integer'],
  }[dialect]
  return [
    `CREATE TABLE orders (id ${serial}, cart VARCHAR(40) NOT NULL)`,
    `CREATE TABLE jobs (id integer PRIMARY KEY, status VARCHAR(40), note VARCHAR(400), phase integer,
      version ${wide} NOT NULL DEFAULT 1)`,
    `CREATE TABLE payments (id ${serial}, tenant integer NOT NULL, order_id VARCHAR(40) NOT NULL, amount integer NOT NULL,
      note VARCHAR(400), paid boolean, extra ${json}, raw ${bytes}, seen ${time}, total ${wide}, ref VARCHAR(40) UNIQUE,
      UNIQUE (tenant, order_id))`,
  ]
}

const HOSTILE = [
  'jobs; DROP TABLE jobs',
  'jobs" WHERE 1=1 --',
  'jobs`',
  'a.b.c',
  '',
  'jobs.',
  'jobs\u0000',
  'ｊobs',
  '1jobs',
]

/** Binds the suite. */
export function guards(shop: () => Shop): void {
  const run = <T>(work: (tx: unknown) => Promise<T>): Promise<T> => shop().transaction(async (tx) => work(tx))
  const job = async (id = 1) =>
    (await shop().sql(`SELECT status, note, phase, version FROM jobs WHERE id = ${id}`))[0]
  const count = async (table: string) =>
    Number((await shop().sql(`SELECT COUNT(*) AS n FROM ${table}`))[0]?.['n'])
  const graph = declareGraph({
    pending: ['paid', 'cancelled'],
    paid: ['shipped'],
    shipped: [],
    cancelled: [],
  })

  beforeEach(async () => {
    for (const table of ['jobs', 'payments']) await shop().sql(`DELETE FROM ${table}`)
    await shop().sql("INSERT INTO jobs (id, status, phase) VALUES (1, 'pending', 1), (2, 'pending', 1)")
  })

  it('moves a row from the state that it is in, and only once', async () => {
    const pay = () =>
      run(async (tx) =>
        transition(tx, { table: 'jobs', id: 1, from: 'pending', to: 'paid', set: { note: 'x' } }),
      )
    expect(await pay()).toEqual({ outcome: 'moved', won: true, state: 'paid' })
    expect(await pay()).toEqual({ outcome: 'stale', won: false, state: 'paid' })
    expect(await job(1)).toMatchObject({ status: 'paid', note: 'x' })
    expect(await job(2)).toMatchObject({ status: 'pending', note: null })
    const none = await run(async (tx) =>
      transition(tx, { table: 'jobs', id: 9, from: 'pending', to: 'paid' }),
    )
    expect(none).toEqual({ outcome: 'missing', won: false })
  })

  it('moves along the edges of a graph, and refuses others before any statement', async () => {
    type Name = (typeof graph.states)[number]
    const move = (to: string, from?: Name) =>
      run(async (tx) =>
        transition(tx, {
          table: 'jobs',
          id: 1,
          to: to as Name,
          ...(from === undefined ? {} : { from }),
          graph,
        }),
      )
    await expect(move('shipped', 'pending')).rejects.toThrow(/no edge from "pending" to "shipped"/)
    await expect(move('lost')).rejects.toThrow(/no state of this graph/)
    expect(await move('paid')).toMatchObject({ won: true })
    expect(await move('cancelled')).toEqual({ outcome: 'stale', won: false, state: 'paid' })
    expect(await move('shipped')).toMatchObject({ won: true })
  })

  it('takes states that are numbers, in a column of another name, from several', async () => {
    const move = () =>
      run(async (tx) => transition(tx, { table: 'jobs', id: 1, column: 'phase', from: [0, 1], to: 2 }))
    expect(await move()).toEqual({ outcome: 'moved', won: true, state: 2 })
    expect(await move()).toEqual({ outcome: 'stale', won: false, state: 2 })
  })

  it('answers null for a row without a state', async () => {
    await shop().sql('UPDATE jobs SET status = NULL WHERE id = 1')
    const moved = await run(async (tx) =>
      transition(tx, { table: 'jobs', id: 1, from: 'pending', to: 'paid' }),
    )
    expect(moved).toEqual({ outcome: 'stale', won: false, state: null })
  })

  it('writes a row at the version that was read, and tells the version that is there', async () => {
    const write = (version: number | bigint | string, note: string | null = 'new') =>
      run(async (tx) => updateVersioned(tx, { table: 'jobs', id: 1, version, set: { note } }))
    expect(await write(1)).toEqual({ outcome: 'updated', won: true, version: 2 })
    expect(await write(1, 'late')).toEqual({ outcome: 'stale', won: false, version: 2 })
    expect(await write('2')).toEqual({ outcome: 'updated', won: true, version: 3 })
    expect(await write(3n, null)).toEqual({ outcome: 'updated', won: true, version: 4 })
    expect(await job(1)).toMatchObject({ note: null })
    const none = await run(async (tx) => updateVersioned(tx, { table: 'jobs', id: 9, version: 1, set: {} }))
    expect(none).toEqual({ outcome: 'missing', won: false })
  })

  it('reads, checks and writes a locked row', async () => {
    const spend = () =>
      run(async (tx) =>
        withRow(tx, { table: 'jobs', id: 1 }, async (row: { phase: number; status: string }, update) => {
          if (row.phase === 0) return `none left, ${row.status}`
          await update({ phase: row.phase - 1, status: 'busy' })
          return row.phase
        }),
      )
    expect(await spend()).toEqual({ outcome: 'done', won: true, value: 1, created: false })
    expect(await spend()).toEqual({ outcome: 'done', won: true, value: 'none left, busy', created: false })
    expect(await job(1)).toMatchObject({ phase: 0, status: 'busy' })
    expect(await job(2)).toMatchObject({ phase: 1, status: 'pending' })
  })

  it('waits for an update that the body did not wait for, and refuses one after its end', async () => {
    let late: ((set: { note: string }) => unknown) | undefined
    await run(async (tx) => {
      await withRow(tx, { table: 'jobs', id: 1 }, async (_, update) => {
        late = update as typeof late
        void update({ note: 'not awaited' })
      })
      await expect(async () => late?.({ note: 'late' })).rejects.toThrow(/has ended/)
    })
    expect(await job(1)).toMatchObject({ note: 'not awaited' })
  })

  it('answers missing and runs no body for a row that is not there; creates it first where it is told to', async () => {
    let ran = 0
    const look = (create?: { status: string }) =>
      run(async (tx) =>
        withRow(
          tx,
          { table: 'jobs', id: 7, ...(create ? { create } : {}) },
          async (row: { status: string }) => {
            ran++
            return row.status
          },
        ),
      )
    expect(await look()).toEqual({ outcome: 'missing', won: false })
    expect([ran, await count('jobs')]).toEqual([0, 2])
    expect(await look({ status: 'fresh' })).toEqual({
      outcome: 'done',
      won: true,
      value: 'fresh',
      created: true,
    })
    expect(await look({ status: 'other' })).toEqual({
      outcome: 'done',
      won: true,
      value: 'fresh',
      created: false,
    })
    expect([ran, await count('jobs')]).toEqual([2, 3])
  })

  it('inserts once, and answers the row that is there', async () => {
    const pay = (amount: number, returning?: boolean | string[]): Promise<InsertionResult> =>
      run(async (tx) =>
        insertOnce(tx, {
          table: 'payments',
          values: { tenant: 1, order_id: 'a', amount },
          unique: ['tenant', 'order_id'],
          ...(returning === undefined ? {} : { returning }),
        }),
      )
    expect(await pay(5, true)).toMatchObject({
      outcome: 'inserted',
      won: true,
      row: { tenant: 1, order_id: 'a', amount: 5, id: expect.toSatisfy((id) => Number(id) > 0) },
    })
    expect(await pay(7)).toEqual({ outcome: 'existing', won: false })
    expect(await pay(7, ['amount'])).toEqual({ outcome: 'existing', won: false, row: { amount: 5 } })
    expect(await count('payments')).toBe(1)
    const other = {
      table: 'payments',
      values: { tenant: 2, order_id: 'a', amount: 1 },
      unique: ['order_id', 'tenant'],
    }
    expect(await run(async (tx) => insertOnce(tx, other))).toEqual({ outcome: 'inserted', won: true })
    await expect(run(async (tx) => insertOnce(tx, { ...other, returning: ['nope'] }))).rejects.toThrow(
      /no column "nope"/,
    )
  })

  it('lets other errors through: another constraint, and a unique that is none', async () => {
    const pay = (order_id: string, ref: string | null, unique = ['tenant', 'order_id']) =>
      run(async (tx) =>
        insertOnce(tx, { table: 'payments', values: { tenant: 1, order_id, amount: 1, ref }, unique }),
      )
    expect(await pay('a', 'r')).toMatchObject({ won: true })
    const clash = await pay('b', 'r').catch((error: unknown) => error)
    expect(clash).toBeInstanceOf(Error)
    expect(clash).not.toBeInstanceOf(TypeError)
    await expect(pay('b', 's', ['order_id'])).rejects.toThrow(
      /no unique constraint over exactly \(order_id\)/,
    )
    await expect(pay('b', 's', ['amount'])).rejects.toThrow(TypeError)
    await expect(pay('b', null, ['ref'])).rejects.toThrow(/unique column "ref" a value/)
    expect(await count('payments')).toBe(1)
  })

  it('keeps values of every kind as values', async () => {
    const note = `'; DROP TABLE jobs; -- \\' "x" $1 ? :x ünï 😀`
    const seen = new Date('2026-11-21T10:20:30.456Z')
    const values = {
      tenant: 1,
      order_id: note.slice(0, 40),
      amount: -7,
      note,
      paid: true,
      extra: { list: [1, 'ü', null], text: '"quoted"' },
      raw: Buffer.from([0, 1, 255, 39]),
      seen,
      total: 9_007_199_254_740_993n,
    }
    await run(async (tx) => insertOnce(tx, { table: 'payments', values, unique: ['tenant', 'order_id'] }))
    await run(async (tx) =>
      withRow(
        tx,
        { table: 'payments', idColumn: ['tenant', 'order_id'], id: [1, values.order_id] },
        async (_, update) => {
          await update({
            note: `${note}!`,
            extra: ['a', { b: note }],
            paid: false,
            seen: new Date(seen.getTime() + 1),
          })
        },
      ),
    )
    const total = await shop().sql(
      'SELECT COUNT(*) AS n FROM payments WHERE total = 9007199254740993 AND amount = -7',
    )
    expect(Number(total[0]?.['n'])).toBe(1)
    const [row] = await shop().sql('SELECT order_id, note, paid, extra, raw, seen FROM payments')
    const { extra, raw, paid, seen: at } = row ?? {}
    expect(row).toMatchObject({ order_id: values.order_id, note: `${note}!` })
    expect(Number(paid)).toBe(0)
    expect(typeof extra === 'string' ? JSON.parse(extra) : extra).toEqual(['a', { b: note }])
    expect(Buffer.from(raw as Uint8Array)).toEqual(values.raw)
    expect(new Date(at as string).getTime()).toBe(seen.getTime() + 1)
  })

  it('refuses, before any statement, names that are not plain and what is no value', async () => {
    for (const name of HOSTILE) {
      const attempts: ((tx: unknown) => unknown)[] = [
        (tx) => transition(tx, { table: name, id: 1, from: 'pending', to: 'paid' }),
        (tx) => updateVersioned(tx, { table: name, id: 1, version: 1, set: {} }),
        (tx) => withRow(tx, { table: name, id: 1 }, () => 'ran'),
        (tx) => insertOnce(tx, { table: name, values: { id: 1 }, unique: ['id'] }),
        (tx) => transition(tx, { table: 'jobs', idColumn: name, id: 1, from: 'pending', to: 'paid' }),
        (tx) => transition(tx, { table: 'jobs', column: name, id: 1, from: 'pending', to: 'paid' }),
        (tx) => transition(tx, { table: 'jobs', id: 1, from: 'pending', to: 'paid', set: { [name]: 1 } }),
        (tx) => updateVersioned(tx, { table: 'jobs', versionColumn: name, id: 1, version: 1, set: {} }),
        (tx) => withRow(tx, { table: 'jobs', idColumn: ['id', name], id: [1, 1] }, () => 'ran'),
        (tx) => withRow(tx, { table: 'jobs', id: { id: 1 } as never }, () => 'ran'),
        (tx) => withRow(tx, { table: 'jobs', id: 1, create: { [name]: 1 } }, () => 'ran'),
        (tx) => insertOnce(tx, { table: 'payments', values: { [name]: 1, id: 1 }, unique: ['id'] }),
        (tx) => insertOnce(tx, { table: 'payments', values: { [name]: 1, id: 1 }, unique: [name] }),
      ]
      for (const [at, attempt] of attempts.entries()) {
        await run(async (tx) => {
          await expect(async () => attempt(tx), `${JSON.stringify(name)}, ${at}`).rejects.toThrow(TypeError)
          // On PostgreSQL a statement that had failed would have ended the transaction.
          await transition(tx, { table: 'jobs', id: 2, from: 'nowhere', to: 'pending' })
        })
      }
    }
    for (const value of [undefined, Number.NaN, () => 1, Symbol('x'), new Map(), new Date(Number.NaN)]) {
      const set = { note: value } as never
      await run(async (tx) => {
        await expect(async () =>
          updateVersioned(tx, { table: 'jobs', id: 1, version: 1, set }),
        ).rejects.toThrow(TypeError)
      })
    }
    expect(await job(1)).toMatchObject({ status: 'pending', note: null })
  }, 60_000)

  it('is undone with its transaction', async () => {
    const boom = new Error('boom')
    const failing = run(async (tx) => {
      await transition(tx, { table: 'jobs', id: 1, from: 'pending', to: 'paid' })
      await updateVersioned(tx, { table: 'jobs', id: 2, version: 1, set: { note: 'x' } })
      await insertOnce(tx, {
        table: 'payments',
        values: { tenant: 1, order_id: 'z', amount: 1 },
        unique: ['tenant', 'order_id'],
      })
      throw boom
    })
    await expect(failing).rejects.toThrow('boom')
    expect([await job(1), await job(2), await count('payments')]).toMatchObject([
      { status: 'pending' },
      { note: null },
      0,
    ])
  })
}
