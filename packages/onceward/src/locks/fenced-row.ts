import { refuseUnknown, written } from '../core/known-fields.ts'
import { sessionOf, sqliteHandleOf } from '../drivers/adapt/index.ts'
import type { SqlDialect, SqlSession, SqlValue } from '../drivers/sql/index.ts'
import { isSqliteHandle, type SqliteValue } from '../drivers/sqlite/index.ts'
import { checkedFence, type FencedWrite } from './fenced.ts'

/** What may be in a column. */
export type ColumnValue = null | boolean | number | bigint | string | Uint8Array

/** Which row is written, and how. Names of tables and columns are as the database has them, case included. */
export interface FencedRowUpdate {
  /** `orders` or `shop.orders`. */
  readonly table: string
  /** Which row: columns and what they must equal. More than the key says in which state it must be. */
  readonly where: Readonly<Record<string, ColumnValue>>
  /** The columns to write. */
  readonly set: Readonly<Record<string, ColumnValue>>
  /** Of the lease. */
  readonly fence: number
  /** A column of 64-bit integers (`bigint`) that keeps the fence. Default `last_fence`. */
  readonly fenceColumn?: string
  /** Needed for handles of query builders and ORMs that are not on PostgreSQL. Default: by the driver's handle. */
  readonly dialect?: SqlDialect
}

/**
 * Updates a row unless a greater fence has written it before, in one statement:
 * `UPDATE … SET …, last_fence = f WHERE … AND (last_fence IS NULL OR last_fence <= f)`.
 *
 * Answers `missing` where no row satisfies `where`. Several rows may; then `written` means at least one.
 *
 * @param tx - The handle of an open transaction: of pg, postgres, mysql2, Drizzle, Kysely, Knex, Prisma, TypeORM, MikroORM or
 * Sequelize; of SQLite, the database of `node:sqlite` or better-sqlite3.
 * @throws `TypeError` for names that are not plain, and for a pool. Errors of the database as they are.
 * @example
 * const done = await fencedRow(client, {
 *   table: 'orders',
 *   where: { id: order.id, status: 'unpaid' },
 *   set: { status: 'cancelled' },
 *   fence: lease.fence,
 * })
 */
export async function fencedRow(tx: unknown, update: FencedRowUpdate): Promise<FencedWrite | 'missing'> {
  refuseUnknown('fencedRow', update, FIELDS)
  const fence = checkedFence(update.fence)
  const session = sessionFor(tx, update.dialect)
  const written = await session.query(...updateOf(session.dialect, update, fence))
  if (written.affected > 0) return 'written'
  const found = await session.query(...lookOf(session.dialect, update))
  const row = found.rows[0]
  if (!row) return 'missing'
  const last = Object.values(row)[0]
  if (last !== null && Number(last) > fence) return 'stale'
  // MySQL counts no row that is as it should be already; otherwise the row has come only after the update.
  return session.dialect === 'mysql' && last !== null && Number(last) === fence ? 'written' : 'missing'
}

type Statement = readonly [text: string, values: readonly SqlValue[]]

function updateOf(dialect: SqlDialect, update: FencedRowUpdate, fence: number): Statement {
  const column = nameOf(dialect, update.fenceColumn ?? 'last_fence')
  const list = parameters(dialect)
  const sets = Object.entries(update.set).map(
    ([name, value]) => `${nameOf(dialect, name)} = ${list.add(value)}`,
  )
  sets.push(`${column} = ${list.add(fence)}`)
  const conditions = conditionsOf(dialect, update.where, list)
  conditions.push(`(${column} IS NULL OR ${column} <= ${list.add(fence)})`)
  const text = `UPDATE ${tableOf(dialect, update.table)} SET ${sets.join(', ')} WHERE ${conditions.join(' AND ')}`
  return [text, list.values]
}

function lookOf(dialect: SqlDialect, update: FencedRowUpdate): Statement {
  const column = nameOf(dialect, update.fenceColumn ?? 'last_fence')
  const list = parameters(dialect)
  const conditions = conditionsOf(dialect, update.where, list)
  const from = `FROM ${tableOf(dialect, update.table)} WHERE ${conditions.join(' AND ')}`
  // Under REPEATABLE READ a plain read of MySQL shows what was there before the greater fence.
  const now = dialect === 'mysql' ? ' FOR UPDATE' : ''
  return [`SELECT ${column} AS fence ${from} ORDER BY ${column} DESC LIMIT 1${now}`, list.values]
}

function conditionsOf(
  dialect: SqlDialect,
  where: FencedRowUpdate['where'],
  list: ReturnType<typeof parameters>,
): string[] {
  const conditions = Object.entries(where).map(([name, value]) =>
    value === null ? `${nameOf(dialect, name)} IS NULL` : `${nameOf(dialect, name)} = ${list.add(value)}`,
  )
  if (conditions.length > 0) return conditions
  throw new TypeError('fencedRow needs where: the columns that tell the row, such as { id: 7 }')
}

/** Collects values, and answers how the text refers to each. */
function parameters(dialect: SqlDialect): { readonly values: SqlValue[]; add(value: ColumnValue): string } {
  const values: SqlValue[] = []
  return {
    values,
    add(value) {
      if (!isColumnValue(value)) {
        throw new TypeError(`a column takes text, numbers, booleans, bytes or null, not ${written(value)}`)
      }
      values.push(value)
      return dialect === 'postgres' ? `$${values.length}` : '?'
    },
  }
}

function isColumnValue(value: unknown): value is ColumnValue {
  return (
    value === null ||
    ['boolean', 'number', 'bigint', 'string'].includes(typeof value) ||
    value instanceof Uint8Array
  )
}

/** Only plain names are ever part of a statement. */
function nameOf(dialect: SqlDialect, name: string): string {
  if (!/^[A-Za-z_]\w{0,62}$/.test(name)) {
    throw new TypeError(
      `a table or column must have a plain name (letters, digits, "_"), not ${written(name)}`,
    )
  }
  return dialect === 'mysql' ? `\`${name}\`` : `"${name}"`
}

function tableOf(dialect: SqlDialect, table: string): string {
  const parts = String(table).split('.')
  if (parts.length > 2) throw new TypeError(`table must be a name or schema.name, not ${written(table)}`)
  return parts.map((part) => nameOf(dialect, part)).join('.')
}

function sessionFor(tx: unknown, given: SqlDialect | undefined): SqlSession {
  const sqlite = given === undefined || given === 'sqlite' ? sqliteHandleOf(tx) : undefined
  if (isSqliteHandle(sqlite)) {
    return {
      dialect: 'sqlite',
      async query(text, values) {
        const statement = sqlite.prepare(text)
        const bound = values.map((value): SqliteValue => (typeof value === 'boolean' ? Number(value) : value))
        if (text.startsWith('SELECT')) {
          return { rows: statement.all(...bound) as Readonly<Record<string, unknown>>[], affected: 0 }
        }
        return { rows: [], affected: Number(statement.run(...bound).changes) }
      },
    }
  }
  return sessionOf(tx, given ?? dialectOf(tx))
}

/** The connections of mysql2 are told by their two ways to query. */
function dialectOf(tx: unknown): SqlDialect {
  const { query, execute } = (tx ?? {}) as Readonly<Record<string, unknown>>
  return typeof query === 'function' && typeof execute === 'function' ? 'mysql' : 'postgres'
}

const FIELDS = ['table', 'where', 'set', 'fence', 'fenceColumn', 'dialect']
