import { written } from '../core/known-fields.ts'
import { runOn } from '../drivers/adapt/index.ts'
import { ask, type SqlWork } from '../drivers/database/sql-work.ts'
import { type ColumnValues, columnName, type SqlDialect } from '../drivers/sql/index.ts'
import type { SqliteHandle } from '../drivers/sqlite/index.ts'
import {
  assertOne,
  asText,
  checkRow,
  checkSet,
  furtherAssignments,
  keyOf,
  type OneRow,
  rowStatement,
} from './one-row.ts'

/** A change of a row that was read before. */
export interface VersionedUpdate extends OneRow {
  /** The version that was read with what the change is made from. */
  readonly version: number | bigint | string
  /** Columns to write. */
  readonly set: ColumnValues
  /** A column of integers that every change increases. Default `version`. */
  readonly versionColumn?: string
}

/** What became of a {@link VersionedUpdate}. */
export type VersionedResult =
  /** It is written. `version` is the one that the row has now. */
  | { readonly outcome: 'updated'; readonly won: true; readonly version: number }
  /** Somebody else has changed the row since it was read: read it again. Nothing was written. */
  | { readonly outcome: 'stale'; readonly won: false; readonly version: number | null }
  /** There is no such row. */
  | { readonly outcome: 'missing'; readonly won: false }

/**
 * Writes a row unless it has changed since it was read, in one statement:
 * `UPDATE … SET …, version = version + 1 WHERE id = … AND version = …`.
 *
 * Limit: it holds for writers that come this way, or increase the version themselves. Under REPEATABLE READ or SERIALIZABLE,
 * PostgreSQL throws (40001) in place of answering `stale`; roll back and run all of it again.
 *
 * @param tx - As for `transition`; on SQLite it answers and throws at once.
 * @throws `TypeError`, before any statement, for names that are not plain and for a pool. Errors of the database as they are.
 * @example
 * import { updateVersioned } from 'onceward/sql'
 *
 * const { rows } = await client.query('SELECT stock, version FROM items WHERE id = $1', [7])
 * const sold = await updateVersioned(client, {
 *   table: 'items',
 *   id: 7,
 *   version: rows[0].version,
 *   set: { stock: rows[0].stock - 1 },
 * })
 * if (sold.outcome === 'stale') console.log('somebody else has bought one; look again')
 */
export function updateVersioned(tx: SqliteHandle, update: VersionedUpdate): VersionedResult
export function updateVersioned(tx: unknown, update: VersionedUpdate): Promise<VersionedResult>
export function updateVersioned(
  tx: unknown,
  update: VersionedUpdate,
): VersionedResult | Promise<VersionedResult> {
  return runOn(tx, update?.dialect, (dialect) => updating(dialect, update))
}

function* updating(dialect: SqlDialect, given: VersionedUpdate): SqlWork<VersionedResult> {
  checkRow('updateVersioned', given, ['version', 'set', 'versionColumn'])
  const { set, versionColumn = 'version' } = given
  const expected = versionOf(given.version)
  checkSet('set of updateVersioned', set, [versionColumn, ...Object.keys(keyOf(given))])
  const version = columnName(dialect, versionColumn)
  const update = rowStatement(dialect, given, ({ table, key, list }) => {
    const sets = `${version} = ${version} + 1${furtherAssignments(dialect, set, list)}`
    const where = key()
    return `UPDATE ${table} SET ${sets} WHERE ${where} AND ${version} = ${list.add(expected)}`
  })
  const { affected } = yield* ask({ text: update.text, columns: [] }, update.values)
  assertOne(given, affected)
  if (affected === 1) return { outcome: 'updated', won: true, version: expected + 1 }
  const look = rowStatement(
    dialect,
    given,
    ({ table, key }) =>
      // Under REPEATABLE READ a plain read of MySQL shows what was there when the transaction began.
      `SELECT ${asText(dialect, versionColumn)} AS version FROM ${table} WHERE ${key()}${dialect === 'mysql' ? ' FOR UPDATE' : ''}`,
  )
  const { rows } = yield* ask({ text: look.text, columns: ['version'] }, look.values)
  if (rows[0] === undefined) return { outcome: 'missing', won: false }
  const found = Object.values(rows[0])[0]
  return { outcome: 'stale', won: false, version: found === null ? null : Number(found) }
}

/** Drivers give a column of 64-bit integers as a text or as a bigint too. */
function versionOf(given: unknown): number {
  const version =
    typeof given === 'bigint' || (typeof given === 'string' && /^\d{1,16}$/.test(given))
      ? Number(given)
      : given
  if (Number.isSafeInteger(version) && Number.isSafeInteger((version as number) + 1)) return version as number
  throw new TypeError(`version must be the whole number that was read with the row, not ${written(given)}`)
}
