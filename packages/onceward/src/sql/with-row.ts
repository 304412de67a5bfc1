import { after } from '../core/after.ts'
import { isPromise } from '../core/is-promise.ts'
import { checkWork, written } from '../core/known-fields.ts'
import { joining, runOn, sessionOf, sqliteOf } from '../drivers/adapt/index.ts'
import { ask, type SqlWork } from '../drivers/database/sql-work.ts'
import {
  assignments,
  type ColumnValues,
  columnName,
  isPlainObject,
  type SqlDialect,
} from '../drivers/sql/index.ts'
import { type SqliteHandle, sqliteConnection } from '../drivers/sqlite/index.ts'
import { inserting } from './insert-once.ts'
import { assertOne, checkRow, checkSet, keyOf, type OneRow, rowStatement } from './one-row.ts'
import { type Row, readingRows } from './read-row.ts'

/** A row that is read, checked and written while nobody else can. */
export interface LockedRow extends OneRow {
  /**
   * Makes the row first if it is missing: its columns besides the key. The key must be the primary key, or unique. Default: a
   * missing row stays missing.
   */
  readonly create?: ColumnValues
}

/** What became of {@link withRow}. */
export type RowResult<T> =
  /** The body has run. `created` tells whether the row is there only since. */
  | { readonly outcome: 'done'; readonly won: true; readonly value: T; readonly created: boolean }
  /** There is no such row. The body was not run. */
  | { readonly outcome: 'missing'; readonly won: false }

/** Writes columns of the locked row. */
export type UpdateRow = (set: ColumnValues) => Promise<void>

/** {@link UpdateRow} on SQLite: it is written when it returns. */
export type UpdateRowSync = (set: ColumnValues) => void

/**
 * Locks a row (`SELECT … FOR UPDATE`; on SQLite, the database), lets `body` read, check and write it, and answers what it
 * answers. Others who come this way wait until the transaction has ended, and then see what it wrote.
 *
 * There is no gap to create a row in: between "there is none" and an INSERT another transaction may insert it too. So a
 * missing row is answered as `missing`; with `create` it is inserted first, once, and then locked.
 *
 * Limit: whoever reads without a lock and writes what he made of it does not wait. On PostgreSQL the values of `row` are
 * numbers, booleans, dates (`timestamptz`), bytes, parsed JSON, and text for everything else (`numeric`, `timestamp`); on
 * MySQL and SQLite they are as the driver gives them.
 *
 * @param tx - The handle of an open transaction, as for `transition`. On SQLite it answers and throws at once, unless `body`
 * is asynchronous; nobody else may use that handle meanwhile.
 * @param body - Gets the row and a function that writes columns of it, which ends with `body`.
 * @throws `TypeError` for a handle on which no transaction is open, and for names that are not plain; what `body` throws; errors
 * of the database as they are.
 * @example
 * import { withRow } from 'onceward/sql'
 *
 * const sold = await withRow(client, { table: 'items', id: 7 }, async (row: { stock: number }, update) => {
 *   if (row.stock === 0) return false
 *   await update({ stock: row.stock - 1 })
 *   return true
 * })
 * console.log(sold.outcome === 'missing' ? 'no such item' : sold.value)
 */
export function withRow<T, R extends object = Row>(
  tx: SqliteHandle,
  which: LockedRow,
  body: (row: R, update: UpdateRowSync) => Promise<T>,
): Promise<RowResult<T>>
export function withRow<T, R extends object = Row>(
  tx: SqliteHandle,
  which: LockedRow,
  body: (row: R, update: UpdateRowSync) => T,
): RowResult<T>
export function withRow<T, R extends object = Row>(
  tx: unknown,
  which: LockedRow,
  body: (row: R, update: UpdateRow) => T | Promise<T>,
): Promise<RowResult<T>>
export function withRow(
  tx: unknown,
  which: LockedRow,
  body: (row: never, update: UpdateRow) => unknown,
): RowResult<unknown> | Promise<RowResult<unknown>> {
  const lock = () => runOn(tx, which.dialect, (dialect) => locking(dialect, which))
  const sqlite = sqliteOf(tx, which?.dialect)
  if (!sqlite) return lockedOnServer(tx, which, body, lock)
  checkLocked(which, body)
  assertInTransaction(sqlite)
  return after(lock(), (found) => ranWith(tx, which, found, body))
}

async function lockedOnServer(
  tx: unknown,
  which: LockedRow,
  body: (row: never, update: UpdateRow) => unknown,
  lock: () => Found | Promise<Found>,
): Promise<RowResult<unknown>> {
  checkLocked(which, body)
  // A lock that ends with its statement would be none.
  await joining(sessionOf(tx, which.dialect).dialect).assertInTransaction(tx)
  return ranWith(tx, which, await lock(), body)
}

/** The locked row, and whether it was made here. */
interface Found {
  readonly row: Row | undefined
  readonly created: boolean
}

function* locking(dialect: SqlDialect, which: LockedRow): SqlWork<Found> {
  // Whoever only reads has no lock on SQLite: a statement that may write takes it, and this one writes nothing.
  if (dialect === 'sqlite') {
    const take = rowStatement(dialect, which, ({ table }) => {
      const [column = ''] = Object.keys(keyOf(which)).map((name) => columnName(dialect, name))
      return `UPDATE ${table} SET ${column} = ${column} WHERE 0`
    })
    yield* ask({ text: take.text, columns: [] })
  }
  const { table, create } = which
  const key = keyOf(which)
  const created =
    create !== undefined &&
    (yield* inserting(dialect, { table, values: { ...create, ...key }, unique: Object.keys(key) })).won
  let rowOf: ReturnType<typeof readingRows>['rowOf'] = () => undefined
  const select = rowStatement(dialect, which, (parts) => {
    const reading = readingRows(dialect, parts.table)
    rowOf = reading.rowOf
    const end =
      dialect === 'sqlite' ? '' : dialect === 'mysql' ? ' FOR UPDATE' : ' FOR UPDATE OF onceward_row'
    return `SELECT ${reading.columns} FROM ${parts.table}${reading.alias} WHERE ${parts.key()}${end}`
  })
  const answer = yield* ask({ text: select.text, columns: ['row'] }, select.values)
  assertOne(which, answer.rows.length)
  return { row: rowOf(answer), created }
}

/** Runs the body, and waits for what it did not wait for. */
function ranWith(
  tx: unknown,
  which: LockedRow,
  { row, created }: Found,
  body: (row: never, update: UpdateRow) => unknown,
): RowResult<unknown> | Promise<RowResult<unknown>> {
  if (row === undefined) return { outcome: 'missing', won: false }
  let ended = false
  const writing: Promise<void>[] = []
  const update = (set: ColumnValues) => {
    const done = runOn(tx, which.dialect, (dialect) => {
      if (ended)
        throw new TypeError('the body of withRow has ended, and with it the update that it was given')
      return updating(dialect, which, set)
    })
    if (isPromise(done)) {
      writing.push(done)
      done.catch(() => {})
    }
    return done as Promise<void>
  }
  const ends = () => {
    ended = true
  }
  const done = (value: unknown) => ({ outcome: 'done', won: true, value, created }) as const
  let value: unknown
  try {
    value = body(row as never, update)
  } catch (error) {
    ends()
    throw error
  }
  if (!isPromise(value) && writing.length === 0) {
    ends()
    return done(value)
  }
  return settled(value, writing, ends, done)
}

async function settled<R>(
  value: unknown,
  writing: readonly Promise<void>[],
  ends: () => void,
  done: (value: unknown) => R,
): Promise<R> {
  try {
    const answer = await value
    ends()
    await Promise.all(writing)
    return done(answer)
  } finally {
    ends()
    // What is still under way would meet the end of the transaction.
    await Promise.allSettled(writing)
  }
}

function* updating(dialect: SqlDialect, which: LockedRow, set: ColumnValues): SqlWork<void> {
  checkSet('update of withRow', set, Object.keys(keyOf(which)))
  if (Object.keys(set).length === 0) return
  const { text, values } = rowStatement(dialect, which, ({ table, key, list }) => {
    const sets = assignments(dialect, set, list).join(', ')
    return `UPDATE ${table} SET ${sets} WHERE ${key()}`
  })
  const { affected } = yield* ask({ text, columns: [] }, values)
  // MySQL may count no row that is as it should be already.
  if (affected === 0 && dialect !== 'mysql') {
    throw new TypeError(
      `the row of ${which.table} is gone: the body itself has deleted it, or changed its key`,
    )
  }
}

function checkLocked(which: LockedRow, body: unknown): void {
  checkRow('withRow', which, ['create'])
  checkWork('withRow', body)
  if (which.create === undefined) return
  if (!isPlainObject(which.create)) {
    throw new TypeError(`create of withRow takes columns with their values, not ${written(which.create)}`)
  }
  checkSet('create of withRow', which.create, Object.keys(keyOf(which)))
}

function assertInTransaction(handle: SqliteHandle): void {
  if (sqliteConnection(handle, 'of the given handle').inTransaction()) return
  throw new TypeError("no transaction is open on the given handle; run db.exec('BEGIN IMMEDIATE') first")
}
