import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry } from '../../core/store.ts'
import type { SqliteConnection, SqliteValue } from '../../drivers/sqlite/index.ts'
import { COLUMNS, columnTime, contentsOf, fromRow, type Row, toRow } from './record-row.ts'

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
const INSERT = `INSERT INTO onceward_operations (${COLUMNS})
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const UPDATE = `UPDATE onceward_operations SET state = ?, fence = ?, attempt = ?, on_crash = ?, fingerprint = ?,
  owner = ?, updated_at = ?, lease_until = ?, retention_ms = ?, expires_at = ?, value_bytes = ?, body = ?, payload = ?
  WHERE id = ?`
/** An end changes only these. */
const UPDATE_END = `UPDATE onceward_operations SET state = ?, updated_at = ?, retention_ms = ?, expires_at = ?,
  value_bytes = ?, body = ?, payload = ? WHERE id = ?`
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
      if (found === undefined) return run(INSERT, ...toRow(record))
      const { row } = found
      if (!('record' in found) || found.record.createdAt !== record.createdAt) {
        run(DELETE, row)
        return run(INSERT, ...toRow(record))
      }
      if (isSameClaim(found.record, record)) {
        const { state, updatedAt } = record
        const [retentionMs, expiresAt] = [columnTime(record.retentionMs), columnTime(record.expiresAt)]
        run(UPDATE_END, state, updatedAt, retentionMs, expiresAt, ...contentsOf(record), row)
        return row
      }
      const [, , , state = null, fence = null, attempt = null, ...rest] = toRow(record)
      const [onCrash = null, fingerprint = null, owner = null, , ...last] = rest
      run(UPDATE, state, fence, attempt, onCrash, fingerprint, owner, ...last, row)
      return row
    },
    writeAudit(entry) {
      run(INSERT_AUDIT, entry.at, entry.digest, JSON.stringify(entry))
    },
    get changes() {
      return changes
    },
  }
}

/** Whether what only a claim or a renewal changes is the same. */
function isSameClaim(one: OperationRecord, other: OperationRecord): boolean {
  return (
    one.fence === other.fence &&
    one.owner === other.owner &&
    one.leaseUntil === other.leaseUntil &&
    one.attempt === other.attempt &&
    one.onCrash === other.onCrash &&
    one.fingerprint === other.fingerprint
  )
}
