import { OncewardError } from '../../core/errors.ts'
import type { OperationRecord, Outcome } from '../../core/operation.ts'
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
import { hasPlainHistory, plainHistory } from './plain-record.ts'
import { parseBody, type StoredBody } from './record-body.ts'

/** The columns of `onceward_operations`, in the order in which rows are written and read. */
export const COLUMNS: string =
  'digest, scope, key, state, fence, attempt, on_crash, fingerprint, owner, created_at, updated_at, lease_until, ' +
  'retention_ms, expires_at, value_bytes, body, payload'

/**
 * What is to become held, at the time of its parameter: a running record that never expires is one whose lapse makes it so.
 * "Running" is said twice, so that the index of what is not done is used.
 */
export const IS_LAPSED: string =
  "state = 'running' AND state <> 'done' AND expires_at IS NULL AND lease_until <= ?"

/** A row as the driver answers it: nothing in it is believed before it was looked at. */
export type Row = Readonly<Record<string, unknown>>

/** Writes a record as the values of {@link COLUMNS}. */
export function toRow(record: OperationRecord): SqliteValue[] {
  const { id } = record
  return [
    id.digest,
    columnText(id.scope),
    columnText(id.key),
    record.state,
    record.fence,
    record.attempt,
    record.onCrash,
    exactText(record.fingerprint),
    exactText(record.owner),
    record.createdAt,
    record.updatedAt,
    columnTime(record.leaseUntil),
    columnTime(record.retentionMs),
    columnTime(record.expiresAt),
    ...contentsOf(record),
  ]
}

/** What `value_bytes`, `body` and `payload` hold of a record. */
export function contentsOf(
  record: OperationRecord,
): [valueBytes: number | null, body: string | null, payload: Uint8Array | null] {
  const { outcome } = record
  const payload: Uint8Array[] = []
  const body = bodyOf(record, payload)
  if (outcome?.kind !== 'value') return [null, body, joinedPayload(payload)]
  payload.push(outcome.value)
  return [outcome.value.length, body, joinedPayload(payload)]
}

/** A time as a column can give it back: beyond this, about 285,000 years, drivers refuse to read the whole row. */
export function columnTime(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.min(ms, Number.MAX_SAFE_INTEGER)
}

/** Text that stands in a column as it is; any other is in `body`. */
function exactText(text: string | undefined): string | null {
  return text !== undefined && PLAIN_TEXT.test(text) ? text : null
}

/** What `body` has to hold of such text. */
function otherText(text: string | undefined): string | undefined {
  return text === undefined || PLAIN_TEXT.test(text) ? undefined : text
}

const PLAIN_TEXT = /^[ -~]*$/

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
  const body = row['body'] === null ? undefined : parseBody(text(row, 'body'))
  const takeBytes = payloadReader(row['payload'])
  const state = text(row, 'state')
  if (state !== 'running' && state !== 'done' && state !== 'held' && state !== 'released') {
    throw new TypeError(`unknown state ${JSON.stringify(state)}`)
  }
  const onCrash = text(row, 'on_crash')
  if (onCrash !== 'hold' && onCrash !== 'rerun') throw new TypeError('on_crash is neither hold nor rerun')
  const [scope, key] = body?.id ?? [text(row, 'scope'), text(row, 'key')]
  const fingerprint = body?.fingerprint ?? optional(row, 'fingerprint', text)
  const owner = body?.owner ?? optional(row, 'owner', text)
  const expiresAt = optional(row, 'expires_at', number)
  const steps = (body?.steps ?? []).map((step) => readStep(step, takeBytes))
  const valueBytes = optional(row, 'value_bytes', length)
  const outcome: Outcome | undefined =
    valueBytes === undefined
      ? body?.outcome && readOutcome(body.outcome, takeBytes)
      : { kind: 'value', value: takeBytes(valueBytes) }
  if ((state === 'done') !== (outcome !== undefined)) throw new TypeError('done and its outcome disagree')
  const fence = number(row, 'fence')
  if (!Number.isSafeInteger(fence)) throw new TypeError('the fence is not a whole number below 2^53')
  const attempt = number(row, 'attempt')
  const [createdAt, updatedAt] = [number(row, 'created_at'), number(row, 'updated_at')]
  const isPlain = attempt === 1 && (state === 'running' || outcome?.kind === 'value')
  if (body?.history === undefined && !isPlain) throw new TypeError('the history is missing')
  return {
    id: { scope, key, digest: text(row, 'digest') },
    state,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    onCrash,
    ...(owner === undefined ? {} : { owner }),
    fence,
    attempt,
    createdAt,
    updatedAt,
    leaseUntil: number(row, 'lease_until'),
    retentionMs: number(row, 'retention_ms'),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(body?.heldReason === undefined ? {} : { heldReason: body.heldReason }),
    asks: body?.asks ?? 0,
    nextAskAt: body?.nextAskAt ?? 0,
    steps,
    duplicates: body?.duplicates ?? 0,
    history: body?.history?.map(readEvent) ?? plainHistory({ state, fence, createdAt, updatedAt }),
  }
}

/** What no column holds of a record, as JSON; of most records, nothing. */
function bodyOf(record: OperationRecord, payload: Uint8Array[]): string | null {
  const { id, outcome, asks, nextAskAt, duplicates, heldReason } = record
  const inColumns = !id.scope.includes('\0') && !id.key.includes('\0')
  const [fingerprint, owner] = [otherText(record.fingerprint), otherText(record.owner)]
  const isPlain = hasPlainHistory(record) && (outcome === undefined || outcome.kind === 'value')
  const hasCounts = asks !== 0 || nextAskAt !== 0 || duplicates !== 0 || heldReason !== undefined
  const hasText = fingerprint !== undefined || owner !== undefined
  if (isPlain && inColumns && !hasCounts && !hasText && record.steps.length === 0) return null
  const steps = record.steps.map((step) => storedStep(step, payload))
  // Fields that are undefined are left out of the JSON.
  const body: StoredBody = {
    id: inColumns ? undefined : [id.scope, id.key],
    fingerprint,
    owner,
    outcome: otherOutcome(outcome, payload),
    heldReason,
    asks: asks || undefined,
    nextAskAt: nextAskAt || undefined,
    duplicates: duplicates || undefined,
    steps: steps.length > 0 ? steps : undefined,
    history: isPlain ? undefined : record.history.map(storedEvent),
  }
  return JSON.stringify(body)
}

/** What `body` has to hold of an outcome. */
function otherOutcome(outcome: Outcome | undefined, payload: Uint8Array[]): StoredBody['outcome'] {
  if (outcome === undefined || outcome.kind === 'value') return undefined
  const stored = storedOutcome(outcome, payload)
  return stored.kind === 'value' ? undefined : stored
}

/** Reads a column that may be NULL. */
function optional<T>(row: Row, column: string, read: (row: Row, column: string) => T): T | undefined {
  return row[column] === null ? undefined : read(row, column)
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

function length(row: Row, column: string): number {
  const value = number(row, column)
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`${column} is not a length`)
  return value
}
