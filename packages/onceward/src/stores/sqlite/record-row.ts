import { OncewardError } from '../../core/errors.ts'
import type { HistoryEntry, OperationRecord, Outcome, StepRecord } from '../../core/operation.ts'
import type { SqliteValue } from '../../drivers/sqlite/index.ts'
import { parseBody, type StoredBody, type StoredOutcome } from './record-body.ts'

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
    joined(payload),
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
  const takeBytes = reader(row['payload'])
  const state = text(row, 'state')
  if (state !== 'running' && state !== 'done' && state !== 'held' && state !== 'released') {
    throw new TypeError(`unknown state ${JSON.stringify(state)}`)
  }
  const [scope, key] = body.id ?? [text(row, 'scope'), text(row, 'key')]
  const expiresAt = row['expires_at'] === null ? undefined : number(row, 'expires_at')
  const steps = (body.steps ?? []).map(([name, stepState, onCrash, length]): StepRecord => {
    const step = { name, state: stepState, onCrash }
    return length === null ? step : { ...step, value: takeBytes(length) }
  })
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
  const lengthOf = (bytes: Uint8Array | undefined) => {
    if (bytes === undefined) return null
    payload.push(bytes)
    return bytes.length
  }
  const steps = record.steps.map((step): NonNullable<StoredBody['steps']>[number] => [
    step.name,
    step.state,
    step.onCrash,
    lengthOf(step.value),
  ])
  // Fields that are undefined are left out of the JSON.
  return {
    id: scope.includes('\0') || key.includes('\0') ? [scope, key] : undefined,
    fingerprint: record.fingerprint,
    onCrash: record.onCrash,
    owner: record.owner,
    attempt: record.attempt,
    retentionMs: record.retentionMs,
    outcome: record.outcome && writeOutcome(record.outcome, lengthOf),
    heldReason: record.heldReason,
    asks: record.asks || undefined,
    nextAskAt: record.nextAskAt || undefined,
    duplicates: record.duplicates || undefined,
    steps: steps.length > 0 ? steps : undefined,
    history: record.history.map(({ at, event, attempt, fence, note }) =>
      note === undefined ? [at, event, attempt, fence] : [at, event, attempt, fence, note],
    ),
  }
}

function writeOutcome(
  outcome: Outcome,
  lengthOf: (bytes: Uint8Array | undefined) => number | null,
): StoredOutcome {
  switch (outcome.kind) {
    case 'value':
      return { kind: 'value', length: lengthOf(outcome.value) ?? 0 }
    case 'failure':
      return outcome
    case 'unreplayable':
      return { kind: 'unreplayable', reason: outcome.reason, length: lengthOf(outcome.note) }
  }
}

function readOutcome(stored: StoredOutcome, takeBytes: (length: number) => Uint8Array): Outcome {
  switch (stored.kind) {
    case 'value':
      return { kind: 'value', value: takeBytes(stored.length) }
    case 'failure': {
      const { name, message, code, effect } = stored.failure
      return {
        kind: 'failure',
        failure: { name, message, ...(code === undefined ? {} : { code }), effect },
      }
    }
    case 'unreplayable': {
      const { reason, length } = stored
      return length === null
        ? { kind: 'unreplayable', reason }
        : { kind: 'unreplayable', reason, note: takeBytes(length) }
    }
  }
}

function readEvent([at, event, attempt, fence, note]: StoredBody['history'][number]): HistoryEntry {
  return note === undefined ? { at, event, attempt, fence } : { at, event, attempt, fence, note }
}

function joined(parts: readonly Uint8Array[]): Uint8Array | null {
  return parts.length > 1 ? Buffer.concat(parts) : (parts[0] ?? null)
}

/** Hands out the payload piece by piece, each as a copy of its own. */
function reader(payload: unknown): (length: number) => Uint8Array {
  let offset = 0
  return (length) => {
    const from = offset
    offset += length
    if (length === 0) return new Uint8Array(0)
    if (!(payload instanceof Uint8Array) || payload.length < offset) throw new TypeError('bytes are missing')
    return Uint8Array.prototype.slice.call(new Uint8Array(payload.buffer, payload.byteOffset + from, length))
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
