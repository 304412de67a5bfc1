import { written } from '../../core/known-fields.ts'
import { asciiJson } from '../mysql/ascii-json.ts'
import type { SqlDialect, SqlValue } from './sql-session.ts'

/**
 * What may be written into a column of the user's. Dates go as ISO text in UTC, on MySQL as the driver writes dates; lists and
 * plain objects go as JSON.
 */
export type ColumnValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Date
  | Uint8Array
  | readonly unknown[]
  | Readonly<Record<string, unknown>>

/** Columns and their values. Names are as the database has them, case included. */
export type ColumnValues = Readonly<Record<string, ColumnValue>>

/** Writes the name of a column. @throws `TypeError` for all but plain names: nothing else is ever part of a statement. */
export function columnName(dialect: SqlDialect, name: string): string {
  if (typeof name === 'string' && PLAIN_NAME.test(name))
    return dialect === 'mysql' ? `\`${name}\`` : `"${name}"`
  throw new TypeError(`a table or column must have a plain name (letters, digits, "_"), not ${written(name)}`)
}

/** Writes the name of a table, `orders` or `shop.orders`. @throws `TypeError` for all but plain names. */
export function tableName(dialect: SqlDialect, table: string): string {
  const parts = String(table).split('.')
  if (parts.length > 2) throw new TypeError(`table must be a name or schema.name, not ${written(table)}`)
  return parts.map((part) => columnName(dialect, part)).join('.')
}

/** The values of one statement. */
export interface Parameters {
  /** In the order of the text. */
  readonly values: SqlValue[]
  /** Keeps a value, and answers how the text refers to it. @throws `TypeError` for what no column takes. */
  add(value: ColumnValue): string
}

/** Collects the values of one statement. */
export function parameters(dialect: SqlDialect): Parameters {
  const values: SqlValue[] = []
  return {
    values,
    add(value) {
      values.push(bound(dialect, value))
      if (dialect !== 'postgres') return '?'
      // Its type is said, because a driver that asks the server for it would encode the text once more.
      return isJson(value) ? `CAST($${values.length}::text AS jsonb)` : `$${values.length}`
    },
  }
}

/** Writes `"a" = $1, "b" = $2`. */
export function assignments(dialect: SqlDialect, set: ColumnValues, list: Parameters): string[] {
  return Object.entries(set).map(([name, value]) => `${columnName(dialect, name)} = ${list.add(value)}`)
}

/** Writes the conditions under which columns have these values: `"a" = $1`, `"b" IS NULL`. */
export function equalities(dialect: SqlDialect, where: ColumnValues, list: Parameters): string[] {
  return Object.entries(where).map(([name, value]) => {
    if (value === null) return `${columnName(dialect, name)} IS NULL`
    // To MySQL every text that is no number equals the number 0; as texts they are compared as the column is.
    const number = typeof value === 'number' || typeof value === 'bigint'
    return `${columnName(dialect, name)} = ${list.add(dialect === 'mysql' && number ? String(value) : value)}`
  })
}

/** Tells an object as it is written in a program from one of a class. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

const PLAIN_NAME = /^[A-Za-z_]\w{0,62}$/

function bound(dialect: SqlDialect, value: ColumnValue): SqlValue {
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new TypeError('a column takes dates, and this one is invalid')
    // MySQL knows no zones, so its driver must write them as it reads them; a cast, because our own statements have no dates.
    return dialect === 'mysql' ? (value as unknown as SqlValue) : value.toISOString()
  }
  if (isJson(value)) return jsonOf(dialect, value)
  if (isSqlValue(value)) return value
  throw new TypeError(
    `a column takes text, numbers, booleans, dates, bytes, JSON (lists and plain objects) or null, not ${written(value)}`,
  )
}

function isJson(value: ColumnValue): boolean {
  return Array.isArray(value) || isPlainObject(value)
}

function jsonOf(dialect: SqlDialect, value: unknown): string {
  try {
    return dialect === 'mysql' ? asciiJson(value) : JSON.stringify(value)
  } catch (cause) {
    throw new TypeError('a column takes JSON, and this object cannot be written as such', { cause })
  }
}

function isSqlValue(value: unknown): value is SqlValue {
  if (typeof value === 'number') return Number.isFinite(value)
  return (
    value === null || ['boolean', 'bigint', 'string'].includes(typeof value) || value instanceof Uint8Array
  )
}
