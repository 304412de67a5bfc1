import type { OperationRecord } from '../../core/operation.ts'
import { CHANGE_MARK, type SqliteConnection } from '../../drivers/sqlite/index.ts'
import type { Found } from './record-table.ts'

/** The most records that are remembered. */
const MAX_ROWS = 4096

/**
 * Remembers the running records this connection has just written, so that the completion that follows need not read
 * them again. It is believed only while SQLite proves that nobody has written since:
 *
 * - `data_version` moves with every commit of another connection;
 * - `total_changes()` moves with every row this connection changes, whoever used the handle.
 *
 * Limit: both are read under the write lock, so that nobody can write between the look and the use.
 */
export interface RowMemory {
  /** Forgets everything if anybody else has written. To be called under the write lock, before anything is asked for. */
  check(): void
  /** Whether a row was remembered, whether or not it may still be believed: the check is only needed then. */
  has(digest: string): boolean
  get(digest: string): Found | undefined
  /** Takes in what was committed. `changes` is how many rows the transaction has changed. */
  committed(writes: ReadonlyMap<string, Found>, changes: number): void
  forgetAll(): void
}

/** Makes an empty memory for a connection. */
export function rowMemory(connection: SqliteConnection): RowMemory {
  const rows = new Map<string, Found>()
  let version = -1
  let changes = -1
  return {
    check() {
      const mark = connection.prepare(CHANGE_MARK).get() as { changes: number; version: number }
      if (mark.version !== version || mark.changes !== changes) rows.clear()
      version = mark.version
      changes = mark.changes
    },
    has: (digest) => rows.has(digest),
    get: (digest) => rows.get(digest),
    committed(writes, changed) {
      changes += changed
      for (const [digest, found] of writes) {
        rows.delete(digest)
        if ('record' in found && isSmall(found.record)) rows.set(digest, found)
      }
      for (const digest of rows.keys()) {
        if (rows.size <= MAX_ROWS) break
        rows.delete(digest)
      }
    },
    forgetAll: () => rows.clear(),
  }
}

/** Bytes of callers are not kept: they could be changed after they were stored. */
function isSmall(record: OperationRecord): boolean {
  return record.state === 'running' && record.steps.length === 0
}
