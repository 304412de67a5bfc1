import { OncewardError } from '../../core/errors.ts'
import type { OperationRecord } from '../../core/operation.ts'
import {
  joinedPayload,
  payloadReader,
  readEvent,
  readOutcome,
  readStep,
  storedEvent,
  storedOutcome,
  storedStep,
} from '../../drivers/sql/stored-parts.ts'
import type { SqliteValue } from '../../drivers/sqlite/index.ts'
import { parseBody, type StoredBody } from './record-body.ts'

/** The columns of `onceward_operations`, in the order in which rows are written and read. */
export const COLUMNS: string =
  'digest, scope, key, state, fence, created_at, updated_at, lease_until, sweep_at, expires_at, body, payload'

/** A row as the driver answers it: nothing in it is believed before it was looked at. */
export type Row = Readonly<Record<string, unknown>>

/** Writes a record as the values of {@link COLUMNS}. */
export function toRow(record: OperationRecord): SqliteValue[] {
  const payload: Uint8Array[] = []
  const body = JSON.stringify(bodyOf(record, payload))
  const { id, expiresAt = null } = record
  return [
    id.digest,
    columnText(id.scope),
    columnText(id.key),
    record.state,
    record.fence,
    record.createdAt,
    record.updatedAt,
    record.leaseUntil,
    // A running record that never expires is one whose lapse makes it held.
    record.state === 'running' && expiresAt === null ? record.leaseUntil : null,
    expiresAt,
    body,
    joinedPayload(payload),
  ]
}

/**
 * Text as it stands in a column. Some drivers cut text at a NUL, so a column shows U+2400 in its place, and `body`
 * has the text itself.
 */
export function columnText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\u2400') : text
}

/** Reads a record. @throws `STORE_CORRUPT` for a row that this store did not write. */
export function fromRow(row: Row, path: string): OperationRecord {
  try {
    return readRow(row)
  } catch (cause) {
    const digest = typeof row['digest'] === 'string' ? row['digest'] : '(unreadable)'
    const reason = cause instanceof Error ? cause.message : String(cause)
    // There is such an operation, and what has become of it is what cannot be read.
    throw new OncewardError(
      'STORE_CORRUPT',
      `operation ${digest} in ${path} cannot be read (${reason}); restore that row, or settle by hand what became of it`,
      { cause, effect: 'unknown' },
    )
  }
}

function readRow(row: Row): OperationRecord {
  const body = parseBody(text(row, 'body'))
  const takeBytes = payloadReader(row['payload'])
  const state = text(row, 'state')
  if (state !== 'running' && state !== 'done' && state !== 'held' && state !== 'released') {
    throw new TypeError(`unknown state ${JSON.stringify(state)}`)
  }
  const [scope, key] = body.id ?? [text(row, 'scope'), text(row, 'key')]
  const expiresAt = row['expires_at'] === null ? undefined : number(row, 'expires_at')
  const steps = (body.steps ?? []).map((step) => readStep(step, takeBytes))
  const outcome = body.outcome && readOutcome(body.outcome, takeBytes)
  if ((state === 'done') !== (outcome !== undefined)) throw new TypeError('done and its outcome disagree')
  const fence = number(row, 'fence')
  if (!Number.isSafeInteger(fence)) throw new TypeError('the fence is not a whole number below 2^53')
  return {
    id: { scope, key, digest: text(row, 'digest') },
    state,
    ...(body.fingerprint === undefined ? {} : { fingerprint: body.fingerprint }),
    onCrash: body.onCrash,
    ...(body.owner === undefined ? {} : { owner: body.owner }),
    fence,
    attempt: body.attempt,
    createdAt: number(row, 'created_at'),
    updatedAt: number(row, 'updated_at'),
    leaseUntil: number(row, 'lease_until'),
    retentionMs: body.retentionMs,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(body.heldReason === undefined ? {} : { heldReason: body.heldReason }),
    asks: body.asks ?? 0,
    nextAskAt: body.nextAskAt ?? 0,
    steps,
    duplicates: body.duplicates ?? 0,
    history: body.history.map(readEvent),
  }
}

function bodyOf(record: OperationRecord, payload: Uint8Array[]): StoredBody {
  const { scope, key } = record.id
  const steps = record.steps.map((step) => storedStep(step, payload))
  // Fields that are undefined are left out of the JSON.
  return {
    id: scope.includes('\0') || key.includes('\0') ? [scope, key] : undefined,
    fingerprint: record.fingerprint,
    onCrash: record.onCrash,
    owner: record.owner,
    attempt: record.attempt,
    retentionMs: record.retentionMs,
    outcome: record.outcome && storedOutcome(record.outcome, payload),
    heldReason: record.heldReason,
    asks: record.asks || undefined,
    nextAskAt: record.nextAskAt || undefined,
    duplicates: record.duplicates || undefined,
    steps: steps.length > 0 ? steps : undefined,
    history: record.history.map(storedEvent),
  }
}

function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new TypeError(`${column} is not text`)
  return value
}

function number(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError(`${column} is not a number`)
  return value
}
