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
import type { State, StateGraph } from './state-graph.ts'

/** One step of a state machine whose state is in a column. */
export interface Transition<S extends State = State> extends OneRow {
  /** In which state, or in one of which, the row must be. Default, with a graph: those from which an edge leads to `to`. */
  readonly from?: S | readonly S[]
  /** In which state it is then. */
  readonly to: S
  /** Columns to write with it. */
  readonly set?: ColumnValues
  /** Edges that this step is checked against before any statement. */
  readonly graph?: StateGraph<S>
  /** The column of the state. Default `status`. */
  readonly column?: string
}

/** What became of a {@link Transition}. */
export type TransitionResult<S extends State = State> =
  /** This caller has moved it, and nobody else. */
  | { readonly outcome: 'moved'; readonly won: true; readonly state: S }
  /** It is in another state, which somebody else may have moved it to. Nothing was written. */
  | { readonly outcome: 'stale'; readonly won: false; readonly state: S | null }
  /** There is no such row. */
  | { readonly outcome: 'missing'; readonly won: false }

/**
 * Moves a row from one state to another if it is still in the first, in one statement:
 * `UPDATE … SET status = to WHERE id = … AND status IN (from)`. Of all who try at the same time, one wins.
 *
 * Limit: it takes effect with the commit of the transaction. Under REPEATABLE READ or SERIALIZABLE, PostgreSQL throws
 * (40001) where others have changed the row since the transaction began; roll back and run all of it again.
 *
 * @param tx - The handle of an open transaction: of pg, postgres, mysql2, Drizzle, Kysely, Knex, Prisma, TypeORM, MikroORM or
 * Sequelize; of SQLite, the database of `node:sqlite` or better-sqlite3, with which it answers and throws at once.
 * @throws `TypeError`, before any statement, for names that are not plain, for an edge that the graph does not have, and for
 * a pool. Errors of the database as they are.
 * @example
 * import { declareGraph, transition } from 'onceward/sql'
 *
 * const graph = declareGraph({ pending: ['paid', 'cancelled'], paid: ['shipped'], shipped: [], cancelled: [] })
 * const moved = await transition(client, { table: 'orders', id: order.id, from: 'pending', to: 'paid', graph })
 * if (!moved.won) console.log('somebody else was faster, or it is cancelled')
 */
export function transition<S extends State>(tx: SqliteHandle, move: Transition<S>): TransitionResult<S>
export function transition<S extends State>(tx: unknown, move: Transition<S>): Promise<TransitionResult<S>>
export function transition(tx: unknown, move: Transition): TransitionResult | Promise<TransitionResult> {
  return runOn(tx, move?.dialect, (dialect) => moving(dialect, move))
}

/** How often it tries again to move a row that others have moved to where it may come from. */
const TRIES = 3

function* moving(dialect: SqlDialect, move: Transition): SqlWork<TransitionResult> {
  checkRow('transition', move, ['from', 'to', 'set', 'graph', 'column'])
  const { to, set = {}, column = 'status' } = move
  const from = sourcesOf(move)
  checkSet('set of transition', set, [column, ...Object.keys(keyOf(move))])
  const state = columnName(dialect, column)
  const update = rowStatement(dialect, move, ({ table, key, list }) => {
    const sets = `${state} = ${list.add(to)}${furtherAssignments(dialect, set, list)}`
    const where = key()
    return `UPDATE ${table} SET ${sets} WHERE ${where} AND ${state} IN (${from.map((one) => list.add(one)).join(', ')})`
  })
  for (let attempt = 1; ; attempt++) {
    const { affected } = yield* ask({ text: update.text, columns: [] }, update.values)
    assertOne(move, affected)
    if (affected === 1) return { outcome: 'moved', won: true, state: to }
    const { text, values } = lookAt(dialect, move, column)
    const { rows } = yield* ask({ text, columns: ['state'] }, values)
    if (rows[0] === undefined) return { outcome: 'missing', won: false }
    const found = stateOf(Object.values(rows[0])[0], typeof to === 'number')
    // It was moved there after the statement had looked.
    if (attempt < TRIES && from.some((one) => String(one) === String(found))) continue
    return { outcome: 'stale', won: false, state: found }
  }
}

/** Reads the state that the row is in. */
function lookAt(dialect: SqlDialect, move: Transition, column: string): ReturnType<typeof rowStatement> {
  // Under REPEATABLE READ a plain read of MySQL shows what was there when the transaction began.
  const now = dialect === 'mysql' ? ' FOR UPDATE' : ''
  return rowStatement(
    dialect,
    move,
    ({ table, key }) => `SELECT ${asText(dialect, column)} AS state FROM ${table} WHERE ${key()}${now}`,
  )
}

/** @throws `TypeError` for what is no step. */
function sourcesOf({ from, to, graph }: Transition): readonly State[] {
  checkState('to', to)
  const given =
    from === undefined
      ? graph?.before(to)
      : Array.isArray(from)
        ? (from as readonly State[])
        : [from as State]
  if (given === undefined)
    throw new TypeError('transition needs from: the state, or the states, that the row must be in')
  if (given.length === 0) {
    throw new TypeError(
      from === undefined ? `no edge of the graph leads to ${written(to)}` : 'from is an empty list',
    )
  }
  for (const one of given) {
    checkState('from', one)
    if (folded(one) === folded(to)) {
      throw new TypeError(
        `from ${written(one)} to ${written(to)} is no step: everybody would win; see updateVersioned`,
      )
    }
    if (graph && !graph.allows(one, to)) {
      throw new TypeError(`the graph has no edge from ${written(one)} to ${written(to)}`)
    }
  }
  return given
}

/** What collations of MySQL take for the same. */
function folded(state: State): string {
  return String(state).trimEnd().toLowerCase()
}

function checkState(name: string, state: unknown): void {
  if (typeof state === 'string' || Number.isSafeInteger(state)) return
  throw new TypeError(`${name} must be a state, a text or a whole number, not ${written(state)}`)
}

function stateOf(found: unknown, asNumber: boolean): State | null {
  if (found === null || found === undefined) return null
  return asNumber ? Number(found) : String(found)
}
