import { refuseUnknown, written } from '../core/known-fields.ts'
import { systemRandom } from '../core/system.ts'
import { runOn } from '../drivers/adapt/index.ts'
import { ask, type SqlWork } from '../drivers/database/sql-work.ts'
import {
  type ColumnValues,
  columnName,
  equalities,
  isPlainObject,
  parameters,
  type SqlDialect,
  type SqlResult,
  sqlStateOf,
  tableName,
} from '../drivers/sql/index.ts'
import type { SqliteHandle } from '../drivers/sqlite/index.ts'
import { type Row, type RowReading, readingRows } from './read-row.ts'

/** A row that is there once. */
export interface Insertion {
  /** `orders` or `shop.orders`. Names are plain (letters, digits, `_`) and as the database has them, case included. */
  readonly table: string
  /** Its columns. */
  readonly values: ColumnValues
  /** The columns of a unique constraint or primary key, all of it; each has a value. */
  readonly unique: readonly string[]
  /** Whether to answer the row: all columns (`true`), or those named. Default `false`. */
  readonly returning?: boolean | readonly string[]
  /** Where the handle does not tell. Default: what it says of itself. */
  readonly dialect?: SqlDialect
}

/** What became of an {@link Insertion}. */
export type InsertionResult<R extends object = Row> =
  /** This caller has inserted it, and nobody else. `row` where it was asked for, defaults and generated columns included. */
  | { readonly outcome: 'inserted'; readonly won: true; readonly row?: R }
  /** It was there already and is as it was. `row` where it was asked for: the one that is there. */
  | { readonly outcome: 'existing'; readonly won: false; readonly row?: R }

/**
 * Inserts a row unless there is one with the same values in the columns of a unique constraint: the constraint decides, not a
 * look beforehand. Waits for another transaction that has inserted the same and has not ended.
 *
 * Every other error stays one (another constraint, a text that is too long): on MySQL it is `ON DUPLICATE KEY UPDATE` that
 * changes nothing, and not `INSERT IGNORE`, which would make warnings of them.
 *
 * Limit: under REPEATABLE READ or SERIALIZABLE, PostgreSQL throws (40001) where the other row was committed since the
 * transaction began. On MySQL triggers before and after an update see a duplicate.
 *
 * @param tx - As for `transition`; on SQLite it answers and throws at once.
 * @throws `TypeError` for names that are not plain, for a pool, and where `unique` is no unique constraint of the table: on
 * MySQL too, which would insert twice. Errors of the database as they are.
 * @example
 * import { insertOnce } from 'onceward/sql'
 *
 * const inserted = await insertOnce(client, {
 *   table: 'payments',
 *   values: { order_id: order.id, amount: order.total },
 *   unique: ['order_id'],
 *   returning: true,
 * })
 * console.log(inserted.won ? 'paid' : 'was paid already', inserted.row)
 */
export function insertOnce<R extends object = Row>(tx: SqliteHandle, insertion: Insertion): InsertionResult<R>
export function insertOnce<R extends object = Row>(
  tx: unknown,
  insertion: Insertion,
): Promise<InsertionResult<R>>
export function insertOnce(tx: unknown, insertion: Insertion): InsertionResult | Promise<InsertionResult> {
  return runOn(tx, insertion?.dialect, (dialect) => inserting(dialect, insertion))
}

/** How often a row is inserted that others insert and delete meanwhile. */
const TRIES = 5

/** The work of {@link insertOnce}. */
export function* inserting(dialect: SqlDialect, given: Insertion): SqlWork<InsertionResult> {
  check(given)
  const statements = statementsOf(dialect, given)
  if (dialect === 'mysql') yield* assertUnique(given)
  for (let attempt = 1; ; attempt++) {
    const answer = yield* insert(dialect, given, statements)
    if (answer.won && !given.returning) return { outcome: 'inserted', won: true }
    // On PostgreSQL and SQLite the constraint itself has told that the row is there.
    if (!given.returning && dialect !== 'mysql') return { outcome: 'existing', won: false }
    const row = answer.row ?? (yield* look(statements))
    if (answer.won) return { outcome: 'inserted', won: true, ...picked(given, row) }
    if (row !== undefined) return { outcome: 'existing', won: false, ...picked(given, row) }
    // On MySQL it was another constraint, whose error a plain INSERT tells; elsewhere the row is deleted already.
    if (dialect === 'mysql') {
      yield* ask({ text: statements.insert, columns: [] }, statements.values)
      return {
        outcome: 'inserted',
        won: true,
        ...(given.returning ? picked(given, yield* look(statements)) : {}),
      }
    }
    if (attempt >= TRIES) return { outcome: 'existing', won: false }
  }
}

interface Statements {
  /** Without a word on duplicates. */
  readonly insert: string
  readonly insertOnce: string
  readonly values: SqlValues
  readonly look: { readonly text: string; readonly values: SqlValues }
  readonly reading: RowReading
}

type SqlValues = ReturnType<typeof parameters>['values']

function statementsOf(
  dialect: SqlDialect,
  { table: name, values, unique, returning }: Insertion,
): Statements {
  const table = tableName(dialect, name)
  const reading = readingRows(dialect, table)
  const list = parameters(dialect)
  const columns = Object.keys(values).map((column) => columnName(dialect, column))
  const added = Object.values(values).map((value) => list.add(value))
  const insert = `INSERT INTO ${table}${reading.alias} (${columns.join(', ')}) VALUES (${added.join(', ')})`
  const [first = ''] = unique.map((column) => columnName(dialect, column))
  const keys = unique.map((column) => columnName(dialect, column)).join(', ')
  const rest =
    dialect === 'mysql'
      ? // Tells by the last insert id that the row is there: how many rows it counts depends on the connection.
        `ON DUPLICATE KEY UPDATE ${first} = IF(LAST_INSERT_ID(CAST(? AS UNSIGNED)) > 0, ${table}.${first}, ${table}.${first})`
      : `ON CONFLICT (${keys}) DO NOTHING RETURNING ${returning ? reading.columns : '1 AS row'}`
  const found = parameters(dialect)
  const where = equalities(
    dialect,
    Object.fromEntries(unique.map((one) => [one, values[one] ?? null])),
    found,
  )
  // Under REPEATABLE READ a plain read of MySQL shows what was there when the transaction began.
  const look = `SELECT ${reading.columns} FROM ${table}${reading.alias} WHERE ${where.join(' AND ')}${dialect === 'mysql' ? ' FOR UPDATE' : ''}`
  return {
    insert,
    insertOnce: `${insert} ${rest}`,
    values: list.values,
    look: { text: look, values: found.values },
    reading,
  }
}

function* insert(
  dialect: SqlDialect,
  given: Insertion,
  { insertOnce: text, values, reading }: Statements,
): SqlWork<{ readonly won: boolean; readonly row?: Row | undefined }> {
  if (dialect !== 'mysql') {
    const answer = yield* tellingConstraint(given, ask({ text, columns: reading.answers }, values))
    return { won: answer.rows.length > 0, ...(given.returning ? { row: reading.rowOf(answer) } : {}) }
  }
  // More than any AUTO_INCREMENT gets to, and another one each time.
  const mark = Math.floor((1 + systemRandom.fraction()) * 2 ** 52)
  const { insertId } = yield* ask({ text, columns: [] }, [...values, String(mark)])
  return { won: Number(insertId ?? (yield* lastInsertId())) !== mark }
}

function* lastInsertId(): SqlWork<unknown> {
  const { rows } = yield* ask({ text: 'SELECT LAST_INSERT_ID() AS id', columns: ['id'] })
  return rows[0]?.['id']
}

function* look({ look: { text, values }, reading }: Statements): SqlWork<Row | undefined> {
  return reading.rowOf(yield* ask({ text, columns: reading.answers }, values))
}

/** Without the constraint MySQL would insert a second row, and say nothing. */
function* assertUnique(given: Insertion): SqlWork<void> {
  const { rows } = yield* ask({
    text: `SHOW INDEX FROM ${tableName('mysql', given.table)}`,
    columns: ['key_name'],
  })
  const indexes = new Map<unknown, Set<string>>()
  for (const row of rows) {
    const index = Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]))
    const columns = indexes.get(index['key_name']) ?? new Set()
    // Part of a column is not the column.
    const part = index['sub_part'] === null ? '' : ' (part)'
    if (Number(index['non_unique']) === 0) columns.add(`${String(index['column_name']).toLowerCase()}${part}`)
    indexes.set(index['key_name'], columns)
  }
  const unique = new Set(given.unique.map((one) => one.toLowerCase()))
  const same = (columns: Set<string>) =>
    columns.size === unique.size && [...columns].every((one) => unique.has(one))
  if (![...indexes.values()].some(same)) throw noConstraint(given)
}

/** Says the same where PostgreSQL and SQLite say it. */
function* tellingConstraint(given: Insertion, work: SqlWork<SqlResult>): SqlWork<SqlResult> {
  try {
    return yield* work
  } catch (error) {
    const missing = sqlStateOf(error) === '42P10' || /ON CONFLICT clause does not match/.test(String(error))
    throw missing ? noConstraint(given, error) : error
  }
}

function noConstraint({ table, unique }: Insertion, cause?: unknown): TypeError {
  return new TypeError(
    `${table} has no unique constraint over exactly (${unique.join(', ')}): add one, it is what decides who is first`,
    cause === undefined ? {} : { cause },
  )
}

function check(given: Insertion): void {
  refuseUnknown('insertOnce', given, ['table', 'values', 'unique', 'returning', 'dialect'])
  const { table, values, unique, returning } = given
  if (typeof table !== 'string') throw new TypeError(`insertOnce needs table, a name, not ${written(table)}`)
  if (!isPlainObject(values))
    throw new TypeError(`insertOnce needs values, columns with their values, not ${written(values)}`)
  if (!Array.isArray(unique) || unique.length === 0) {
    throw new TypeError("insertOnce needs unique, the columns of a unique constraint, such as ['order_id']")
  }
  for (const column of unique as readonly string[]) {
    const value = Object.hasOwn(values, column) ? values[column] : undefined
    // Two nulls are not the same to a unique constraint.
    if (value === undefined || value === null) {
      throw new TypeError(
        `values must give the unique column ${written(column)} a value, not ${written(value)}`,
      )
    }
  }
  if (returning !== undefined && typeof returning !== 'boolean' && !Array.isArray(returning)) {
    throw new TypeError(`returning is true, or a list of columns, not ${written(returning)}`)
  }
}

function picked({ returning, table }: Insertion, row: Row | undefined): { readonly row?: Row } {
  if (row === undefined || !returning) return {}
  if (returning === true) return { row }
  return {
    row: Object.fromEntries(
      returning.map((name) => {
        if (Object.hasOwn(row, name)) return [name, row[name]]
        throw new TypeError(
          `${table} has no column ${written(name)} to return; it has ${Object.keys(row).join(', ')}`,
        )
      }),
    ),
  }
}
