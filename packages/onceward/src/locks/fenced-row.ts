import { refuseUnknown } from '../core/known-fields.ts'
import { runOn } from '../drivers/adapt/index.ts'
import { ask, type SqlCall, type SqlWork } from '../drivers/database/sql-work.ts'
import {
  assignments,
  type ColumnValues,
  columnName,
  equalities,
  parameters,
  type SqlDialect,
  tableName,
} from '../drivers/sql/index.ts'
import { checkedFence, type FencedWrite } from './fenced.ts'

/** Which row is written, and how. Names of tables and columns are as the database has them, case included. */
export interface FencedRowUpdate {
  /** `orders` or `shop.orders`. */
  readonly table: string
  /** Which row: columns and what they must equal. More than the key says in which state it must be. */
  readonly where: ColumnValues
  /** The columns to write. */
  readonly set: ColumnValues
  /** Of the lease. */
  readonly fence: number
  /** A column of 64-bit integers (`bigint`) that keeps the fence. Default `last_fence`. */
  readonly fenceColumn?: string
  /** Where the handle does not tell. Default: what it says of itself. */
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
  return runOn(tx, update.dialect, (dialect) => writeFenced(dialect, update, fence))
}

function* writeFenced(
  dialect: SqlDialect,
  update: FencedRowUpdate,
  fence: number,
): SqlWork<FencedWrite | 'missing'> {
  const { statement, values } = updateOf(dialect, update, fence)
  if ((yield* ask(statement, values)).affected > 0) return 'written'
  const look = lookOf(dialect, update)
  const row = (yield* ask(look.statement, look.values)).rows[0]
  if (!row) return 'missing'
  const last = Object.values(row)[0]
  if (last !== null && Number(last) > fence) return 'stale'
  // MySQL counts no row that is as it should be already; otherwise the row has come only after the update.
  return dialect === 'mysql' && last !== null && Number(last) === fence ? 'written' : 'missing'
}

function updateOf(dialect: SqlDialect, update: FencedRowUpdate, fence: number): SqlCall {
  const column = columnName(dialect, update.fenceColumn ?? 'last_fence')
  const list = parameters(dialect)
  const sets = [...assignments(dialect, update.set, list), `${column} = ${list.add(fence)}`]
  const conditions = equalities(dialect, whereOf(update), list)
  conditions.push(`(${column} IS NULL OR ${column} <= ${list.add(fence)})`)
  const text = `UPDATE ${tableName(dialect, update.table)} SET ${sets.join(', ')} WHERE ${conditions.join(' AND ')}`
  return { statement: { text, columns: [] }, values: list.values }
}

function lookOf(dialect: SqlDialect, update: FencedRowUpdate): SqlCall {
  const column = columnName(dialect, update.fenceColumn ?? 'last_fence')
  const list = parameters(dialect)
  const conditions = equalities(dialect, whereOf(update), list)
  const from = `FROM ${tableName(dialect, update.table)} WHERE ${conditions.join(' AND ')}`
  // Under REPEATABLE READ a plain read of MySQL shows what was there before the greater fence.
  const now = dialect === 'mysql' ? ' FOR UPDATE' : ''
  const text = `SELECT ${column} AS fence ${from} ORDER BY ${column} DESC LIMIT 1${now}`
  return { statement: { text, columns: ['fence'] }, values: list.values }
}

function whereOf({ where }: FencedRowUpdate): ColumnValues {
  if (Object.keys(where).length > 0) return where
  throw new TypeError('fencedRow needs where: the columns that tell the row, such as { id: 7 }')
}

const FIELDS = ['table', 'where', 'set', 'fence', 'fenceColumn', 'dialect']
