import type { SqlStatement } from '../drivers/database/index.ts'
import { column, type Dialected, listRows, now, parameter, statement } from './sql-of.ts'

/** The statements by which a relay tells what became of what it has taken. Each change is guarded by owner and attempt. */
export interface SettleStatements {
  /** Deletes published events: a list of `{ seq, owner, attempt }`. */
  readonly remove: SqlStatement
  /**
   * Moves events on: a list of `{ seq, owner, attempt, state, blocks, tried, delay, history }`. `delay` counts from now, null
   * where there is no time; a null history is left as it is.
   */
  readonly move: SqlStatement
  /** Moves the end of leases: a list of `{ seq, owner, attempt }` and the lease; in {@link inOrder}. */
  readonly renew: SqlStatement
  /** Which of `{ seq, owner, attempt }` are still leased so. */
  readonly mine: SqlStatement
}

const HELD = { seq: 'number', owner: 'word', attempt: 'number' } as const

/** Writes them. */
export function settleStatements(database: Dialected): SettleStatements {
  const { dialect } = database
  const table = database.table('onceward_outbox')
  const time = now(database)
  const held = listRows(database, HELD)
  const guard = `o.owner = j.owner AND o.attempts = j.attempt AND o.state = 'leased'`
  const moved = listRows(database, {
    ...HELD,
    state: 'word',
    blocks: 'number',
    tried: 'number',
    delay: 'number',
    history: 'word',
  })
  const set = (to: string) =>
    `${to}state = j.state, ${to}attempts = j.tried, ${to}until = ${time} + j.delay, ${to}owner = NULL,
  ${to}stops = CASE WHEN j.blocks = 1 THEN o.lane ELSE NULL END, ${to}history = COALESCE(j.history, o.history)`
  return {
    remove: statement(
      'remove',
      dialect === 'mysql'
        ? `DELETE o FROM ${held} STRAIGHT_JOIN ${table} AS o ON o.seq = j.seq WHERE ${guard}`
        : dialect === 'postgres'
          ? `DELETE FROM ${table} AS o USING ${held} WHERE o.seq = j.seq AND ${guard}`
          : `DELETE FROM ${table} WHERE seq IN (SELECT o.seq FROM ${held} CROSS JOIN ${table} AS o ON o.seq = j.seq WHERE ${guard})`,
    ),
    move: statement(
      'move',
      dialect === 'mysql'
        ? `UPDATE ${moved} STRAIGHT_JOIN ${table} AS o ON o.seq = j.seq SET ${set('o.')} WHERE ${guard}`
        : `UPDATE ${table} AS o SET ${set('')} FROM ${moved} WHERE o.seq = j.seq AND ${guard}`,
    ),
    renew: statement(
      'renew',
      dialect === 'mysql'
        ? `UPDATE ${held} STRAIGHT_JOIN ${table} AS o ON o.seq = j.seq SET o.until = ${time} + CAST(? AS SIGNED) WHERE ${guard}`
        : `UPDATE ${table} AS o SET until = ${time} + ${parameter(database, 2, 'bigint')} FROM ${held} WHERE o.seq = j.seq AND ${guard}`,
    ),
    mine: statement(
      'mine',
      `SELECT ${column(database, 'o.seq', 'seq')}, ${column(database, 'o.owner', 'owner')}
  FROM ${held} ${dialect === 'mysql' ? 'STRAIGHT_JOIN' : 'JOIN'} ${table} AS o ON o.seq = j.seq WHERE ${guard}`,
      ['seq', 'owner'],
    ),
  }
}
