import type { SqliteConnection } from '../../drivers/sqlite/index.ts'
import { ROWS_OF_A_WALK } from '../idle-rows.ts'
import {
  fromLockColumns,
  IDLE_ROWS_KEPT_MS,
  LOCK_COLUMNS,
  type LockColumns,
  storedKey,
  toLockColumns,
} from '../lock-columns.ts'
import type { LockRecord } from '../lock-record.ts'

/** Reads and writes locks on one connection. Each call belongs to the transaction that is open there, or is one of its own. */
export interface LockTable {
  read(key: string): LockRecord | undefined
  write(key: string, record: LockRecord, now: number): void
  /** Deletes what is idle among the rows behind a key; answers the last key it has seen, nothing at the end of the table. */
  forget(after: string, now: number): string | undefined
}

const COLUMNS = LOCK_COLUMNS.join(', ')
const SELECT = `SELECT ${COLUMNS} FROM onceward_locks WHERE key = ?`
const UPSERT = `INSERT INTO onceward_locks (key, ${COLUMNS}, touched_at) VALUES (?, ${LOCK_COLUMNS.map(() => '?').join(', ')}, ?)
  ON CONFLICT (key) DO UPDATE SET ${LOCK_COLUMNS.map((column) => `${column} = excluded.${column}`).join(', ')},
    touched_at = excluded.touched_at`
const LAST_OF_WALK = `SELECT max(key) AS last, count(*) AS count
  FROM (SELECT key FROM onceward_locks WHERE key > ? ORDER BY key LIMIT ${ROWS_OF_A_WALK})`
const DELETE_IDLE = `DELETE FROM onceward_locks WHERE key > ? AND key <= ? AND max(touched_at, until, keep_until, fence / 1000) < ?`

/** Makes the table of a connection. */
export function lockTable(connection: SqliteConnection): LockTable {
  return {
    read(key) {
      const row = connection.prepare(SELECT).get(storedKey(key)) as LockColumns | undefined
      return row && fromLockColumns(row, `the SQLite database ${connection.path}`)
    },
    write(key, record, now) {
      const row = toLockColumns(record)
      const values = LOCK_COLUMNS.map((column) => row[column])
      connection.prepare(UPSERT).run(storedKey(key), ...values, Math.floor(now))
    },
    forget(after, now) {
      const { last, count } = connection.prepare(LAST_OF_WALK).get(after) as {
        readonly last: string | null
        readonly count: number
      }
      if (last === null) return undefined
      connection.prepare(DELETE_IDLE).run(after, last, now - IDLE_ROWS_KEPT_MS)
      return count < ROWS_OF_A_WALK ? undefined : last
    },
  }
}
