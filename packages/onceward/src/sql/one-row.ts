import { refuseUnknown, written } from '../core/known-fields.ts'
import {
  assignments,
  type ColumnValues,
  columnName,
  equalities,
  isPlainObject,
  type Parameters,
  parameters,
  type SqlDialect,
  tableName,
} from '../drivers/sql/index.ts'

/** What is in a key column. */
export type RowId = string | number | bigint | Date | Uint8Array

/** Which row of the user's a guard is about. */
export interface OneRow {
  /** `orders` or `shop.orders`. Names are plain (letters, digits, `_`) and as the database has them, case included. */
  readonly table: string
  /** What is in its key column. Of a key of several columns, what is in each, in their order. */
  readonly id: RowId | readonly RowId[]
  /** The key column, or the columns of the key: `['tenant', 'number']`. Default `id`. */
  readonly idColumn?: string | readonly string[]
  /** Where the handle does not tell. Default: what it says of itself. */
  readonly dialect?: SqlDialect
}

/** The fields of {@link OneRow}. */
const ROW_FIELDS: readonly string[] = ['table', 'id', 'idColumn', 'dialect']

/** Checks what every guard is told, before any statement. @throws `TypeError`. */
export function checkRow(where: string, given: OneRow, more: readonly string[]): void {
  refuseUnknown(where, given, [...ROW_FIELDS, ...more])
  if (typeof given.table !== 'string') {
    throw new TypeError(`${where} needs table, the name of a table, not ${written(given.table)}`)
  }
  // Names that are not plain are found before anything is sent.
  tableName('sqlite', given.table)
  for (const name of Object.keys(keyOf(given))) columnName('sqlite', name)
}

/**
 * The columns that tell the row, with their values. Their names never come from the id, which may have come from outside.
 *
 * @throws `TypeError` for a key that tells no row.
 */
export function keyOf({ id, idColumn = 'id' }: OneRow): Readonly<Record<string, RowId>> {
  if (!Array.isArray(idColumn)) return { [idColumn as string]: checkedId(id) }
  const columns = idColumn as readonly string[]
  if (!Array.isArray(id) || id.length !== columns.length || columns.length === 0) {
    throw new TypeError(
      `id must be a list of ${columns.length} values, one for each idColumn, not ${written(id)}`,
    )
  }
  return Object.fromEntries(columns.map((name, at) => [name, checkedId((id as readonly unknown[])[at])]))
}

/** Checks columns that are written. @throws `TypeError` for what is no object, and for a column that the guard itself writes. */
export function checkSet(where: string, set: ColumnValues, own: readonly string[]): void {
  if (!isPlainObject(set))
    throw new TypeError(`${where} takes columns with their values, not ${written(set)}`)
  for (const name of Object.keys(set)) columnName('sqlite', name)
  const both = Object.keys(set).find((name) => own.some((one) => one.toLowerCase() === name.toLowerCase()))
  if (both !== undefined)
    throw new TypeError(`${where} must not write "${both}": it is what tells the row or its state`)
}

/** Writes a statement about one row: `$table`, and `$key` for the conditions that tell the row. */
export function rowStatement(
  dialect: SqlDialect,
  row: OneRow,
  write: (parts: { readonly table: string; key(): string; readonly list: Parameters }) => string,
): { readonly text: string; readonly values: Parameters['values'] } {
  const list = parameters(dialect)
  const key = () => equalities(dialect, keyOf(row), list).join(' AND ')
  const text = write({ table: tableName(dialect, row.table), key, list })
  return { text, values: list.values }
}

/** `, "a" = $1, "b" = $2`; nothing for no columns. */
export function furtherAssignments(
  dialect: SqlDialect,
  set: ColumnValues | undefined,
  list: Parameters,
): string {
  return assignments(dialect, set ?? {}, list)
    .map((one) => `, ${one}`)
    .join('')
}

/** Refuses to have met several rows, so that the caller rolls back. */
export function assertOne(row: OneRow, affected: number): void {
  if (affected <= 1) return
  throw new TypeError(
    `${affected} rows of ${row.table} have this id: it must be a key; roll the transaction back`,
  )
}

/** Reads a column as text, on every driver the same. */
export function asText(dialect: SqlDialect, name: string): string {
  const column = columnName(dialect, name)
  return dialect === 'postgres' ? `${column}::text` : column
}

function checkedId(id: unknown): RowId {
  if (typeof id === 'string' || typeof id === 'bigint' || Number.isFinite(id)) return id as RowId
  if (id instanceof Date || id instanceof Uint8Array) return id
  throw new TypeError(`id must be a text, a number, a date or bytes, not ${written(id)}`)
}
