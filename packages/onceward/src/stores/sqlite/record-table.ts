import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry } from '../../core/store.ts'
import type { SqliteConnection, SqliteValue } from '../../drivers/sqlite/index.ts'
import { COLUMNS, fromRow, type Row, toRow } from './record-row.ts'

/** A stored record, or what is wrong with it. */
export type Found =
  | { readonly row: number; readonly record: OperationRecord }
  | { readonly row: number; readonly fault: unknown }

/** Reads and writes records on one connection. Each call belongs to the transaction that is open there. */
export interface RecordTable {
  /** The stored records of these digests, expired ones included. */
  read(digests: readonly string[]): Map<string, Found>
  /** Writes a record in the place of `found`; answers its row. */
  write(record: OperationRecord, found: Found | undefined): number
  writeAudit(entry: AuditEntry): void
  /** How many rows this table has changed so far. */
  readonly changes: number
}

const SELECT_ONE = `SELECT id, ${COLUMNS} FROM onceward_operations WHERE digest = ?`
const SELECT_MANY = `SELECT id, ${COLUMNS} FROM onceward_operations WHERE digest IN (SELECT value FROM json_each(?))`
const INSERT = `INSERT INTO onceward_operations (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const UPDATE = `UPDATE onceward_operations SET state = ?, fence = ?, updated_at = ?, lease_until = ?, sweep_at = ?,
  expires_at = ?, body = ?, payload = ? WHERE id = ?`
const DELETE = 'DELETE FROM onceward_operations WHERE id = ?'
const INSERT_AUDIT = 'INSERT INTO onceward_audit (at, digest, entry) VALUES (?, ?, ?)'

/** Makes the table of a connection. */
export function recordTable(connection: SqliteConnection): RecordTable {
  let changes = 0
  const run = (sql: string, ...values: SqliteValue[]) => {
    const done = connection.prepare(sql).run(...values)
    changes += Number(done.changes)
    return Number(done.lastInsertRowid)
  }
  const toFound = (row: Row): Found => {
    const number = Number(row['id'])
    try {
      return { row: number, record: fromRow(row, connection.path) }
    } catch (fault) {
      return { row: number, fault }
    }
  }
  const rowsOf = (digests: readonly string[]) =>
    digests.length === 1
      ? connection.prepare(SELECT_ONE).all(...digests)
      : connection.prepare(SELECT_MANY).all(JSON.stringify(digests))

  return {
    read(digests) {
      const found = new Map<string, Found>()
      if (digests.length === 0) return found
      for (const row of rowsOf(digests) as Row[]) found.set(String(row['digest']), toFound(row))
      return found
    },
    write(record, found) {
      const values = toRow(record)
      if (found === undefined) return run(INSERT, ...values)
      const sameLife = 'record' in found && found.record.createdAt === record.createdAt
      if (!sameLife) {
        run(DELETE, found.row)
        return run(INSERT, ...values)
      }
      const [, , , state = null, fence = null, , ...rest] = values
      run(UPDATE, state, fence, ...rest, found.row)
      return found.row
    },
    writeAudit(entry) {
      run(INSERT_AUDIT, entry.at, entry.digest, JSON.stringify(entry))
    },
    get changes() {
      return changes
    },
  }
}
