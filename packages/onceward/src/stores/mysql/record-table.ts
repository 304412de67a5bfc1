import type { OperationRecord } from '../../core/operation.ts'
import type { AuditEntry } from '../../core/store.ts'
import { asciiJson, READ_NOW, toAsciiJson } from '../../drivers/mysql/index.ts'
import {
  type Change,
  type Found,
  fromColumns,
  type LockedRecords,
  type Row,
  type SqlSession,
  toColumns,
} from '../../drivers/sql/index.ts'
import { assertFits, inPackets, type Packet } from './packets.ts'
import { CREATE, LOCK, OVERWRITE, READ, WRITE_AUDIT } from './record-statements.ts'

/** The records of one database, by any session on it. */
export interface RecordTable {
  /** Reads what is committed, and the time in ms at which it was read. */
  read(session: SqlSession, digests: readonly string[]): Promise<ReadonlyMap<string, Found & { now: number }>>
  /** The same rows, of which {@link RecordTable.recordOf} makes records; the time is their `now`. */
  rows(session: SqlSession, digests: readonly string[]): Promise<ReadonlyMap<string, Row>>
  /** The rows of the transaction that is open on `session`. */
  locked(session: SqlSession): LockedRecords
  /** Reads a row. @throws `STORE_CORRUPT`. */
  recordOf(row: Row): OperationRecord
}

/** Makes the table. `maxPacket` tells how many bytes the server takes in one statement. */
export function recordTable(where: string, maxPacket: () => number): RecordTable {
  const recordOf = (row: Row) => fromColumns(withText(row), where)
  const foundIn = (row: Row): Found => {
    try {
      return { record: recordOf(row) }
    } catch (fault) {
      return { fault }
    }
  }
  const rowsOf = async (session: SqlSession, digests: readonly string[]) => {
    const { rows } = await session.query(READ, [asciiJson(digests)])
    return new Map(rows.map((row) => [digestOf(row), row]))
  }
  return {
    recordOf,
    rows: rowsOf,
    async read(session, digests) {
      const rows = await rowsOf(session, digests)
      return new Map([...rows].map(([digest, row]) => [digest, { ...foundIn(row), now: Number(row['now']) }]))
    },
    locked: (session) => ({
      async lock(digests) {
        const { rows } = await session.query(LOCK, [asciiJson(digests)])
        return new Map(rows.map((row) => [digestOf(row), foundIn(row)]))
      },
      async now() {
        const { rows } = await session.query(READ_NOW, [])
        return Number(rows[0]?.['now'])
      },
      async write(changes) {
        for (const packet of inPackets(changes.filter(isOverwrite).map(wholeRow), maxPacket()))
          await session.query(OVERWRITE, [packet.json, packet.payload])
        for (const packet of inPackets(changes.filter((one) => !isOverwrite(one)).map(wholeRow), maxPacket()))
          await session.query(CREATE, [packet.payload, packet.json])
      },
      async audit(entries) {
        await session.query(WRITE_AUDIT, [asciiJson(entries.map(auditRow))])
      },
    }),
  }
}

function isOverwrite(change: Change): boolean {
  return change.before !== undefined
}

/** A record as `WHOLE_ROWS` reads it. */
function wholeRow({ after }: Change): Packet {
  const row = toColumns(after)
  assertFits('fingerprint', row.fingerprint)
  assertFits('owner', row.owner)
  return {
    payload: row.payload,
    fields: [
      row.digest,
      row.scope,
      row.key,
      row.state,
      row.fingerprint,
      row.on_crash,
      row.holds ? 1 : 0,
      row.owner,
      row.fence,
      row.attempt,
      row.created_at,
      row.updated_at,
      row.lease_until,
      row.retention_ms,
      row.expires_at,
      row.asks,
      row.next_ask_at,
      row.duplicates,
      row.detail === null ? null : toAsciiJson(row.detail),
      toAsciiJson(row.history),
    ],
  }
}

function auditRow(entry: AuditEntry): readonly [string, string] {
  return [entry.digest, asciiJson(entry)]
}

function digestOf(row: Row): string {
  return text(row['digest'])
}

/** Text that was asked for as bytes, because a connection may have any character set, as text. */
function withText(row: Row): Row {
  return {
    ...row,
    digest: text(row['digest']),
    scope: text(row['scope']),
    key: text(row['key']),
    fingerprint: row['fingerprint'] === null ? null : text(row['fingerprint']),
    owner: row['owner'] === null ? null : text(row['owner']),
    history: row['history'] ?? impliedHistory(row),
    detail: row['detail'] ?? impliedDetail(row),
  }
}

/** The history of what was claimed once and perhaps completed: `CLAIM_FRESH` and `COMPLETE` leave it out. */
function impliedHistory(row: Row): string {
  const claimed = `[${row['created_at']},"claimed",1,${row['fence']}]`
  if (row['state'] !== 'done') return `[${claimed}]`
  const event = /"kind":"failure"/.test(String(row['detail'])) ? 'failed' : 'completed'
  return `[${claimed},[${row['updated_at']},"${event}",1,${row['fence']}]]`
}

/** The detail of a plain value: `COMPLETE` leaves it out. Some modes of the server make null of a value without bytes. */
function impliedDetail(row: Row): string | null {
  const { payload } = row
  if (row['state'] !== 'done') return null
  return `{"outcome":{"kind":"value","length":${payload instanceof Uint8Array ? payload.length : 0}}}`
}

function text(value: unknown): string {
  if (!(value instanceof Uint8Array)) return value as string
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
}
