import { OncewardError } from '../../core/errors.ts'
import type {
  Failure,
  HistoryEntry,
  OnCrash,
  OperationRecord,
  Outcome,
  StepRecord,
} from '../../core/operation.ts'

/**
 * A record as the columns of `onceward_operations` on a database server.
 *
 * Text columns hold what any server can hold: no NUL and no half of a surrogate pair. `detail` and `history` are JSON as
 * text, in which such characters are written as escapes. Times are ms since the epoch on the clock of the server.
 */
export interface RecordColumns {
  readonly digest: string
  readonly scope: string
  readonly key: string
  readonly state: OperationRecord['state']
  readonly fingerprint: string | null
  readonly on_crash: OnCrash
  /** Whether a lapse of the running claim makes it held; such a record does not expire. */
  readonly holds: boolean
  readonly owner: string | null
  readonly fence: number
  readonly attempt: number
  readonly created_at: number
  readonly updated_at: number
  /** In no index, so that a heartbeat writes one row and no index. */
  readonly lease_until: number
  readonly retention_ms: number
  /** When an ended record is forgotten. Null while running: what a running one outlives follows from its lease. */
  readonly expires_at: number | null
  readonly asks: number
  readonly next_ask_at: number
  readonly duplicates: number
  /** JSON of {@link Detail}, or null for an empty one. */
  readonly detail: string | null
  /** JSON list of {@link StoredEvent}. */
  readonly history: string
  /** The stored bytes one after another, steps first; `detail` has their lengths. */
  readonly payload: Uint8Array | null
}

/** The names of the columns in the order of {@link RecordColumns}. */
export const RECORD_COLUMNS: readonly (keyof RecordColumns)[] = [
  'digest',
  'scope',
  'key',
  'state',
  'fingerprint',
  'on_crash',
  'holds',
  'owner',
  'fence',
  'attempt',
  'created_at',
  'updated_at',
  'lease_until',
  'retention_ms',
  'expires_at',
  'asks',
  'next_ask_at',
  'duplicates',
  'detail',
  'history',
  'payload',
]

/**
 * The attempt up to which an event may be appended to `history` without counting: an attempt leaves three events at
 * most, so that the sixteenth is the last that fits after the fifth.
 */
export const APPENDABLE_ATTEMPTS = 5

/** One event of `history`. A server can append one as text: `left(history, -1) || ',[…]]'`. */
export type StoredEvent = readonly [
  at: number,
  event: HistoryEntry['event'],
  attempt: number,
  fence: number,
  note?: string,
]

/** What is never searched for. */
interface Detail {
  /** Scope and key, where their columns cannot hold them. */
  readonly id?: readonly [scope: string, key: string]
  readonly outcome?: StoredOutcome
  readonly heldReason?: string
  /** The last member is the length of the value in the payload. */
  readonly steps?: readonly StoredStep[]
}

type StoredStep = readonly [name: string, state: StepRecord['state'], onCrash: OnCrash, length: number | null]

type StoredOutcome =
  | { readonly kind: 'value'; readonly length: number }
  | { readonly kind: 'failure'; readonly failure: Failure }
  | { readonly kind: 'unreplayable'; readonly reason: string; readonly length: number | null }

/** A row as a driver answers it: nothing in it is believed before it was looked at. */
export type Row = Readonly<Record<string, unknown>>

/** Writes a record as columns. */
export function toColumns(record: OperationRecord): RecordColumns {
  const { id, expiresAt } = record
  const payload: Uint8Array[] = []
  const steps = record.steps.map((step): StoredStep => {
    if (step.value === undefined) return [step.name, step.state, step.onCrash, null]
    payload.push(step.value)
    return [step.name, step.state, step.onCrash, step.value.length]
  })
  const scope = columnText(id.scope)
  const key = columnText(id.key)
  const detail: Detail = {
    ...(scope === id.scope && key === id.key ? {} : { id: [id.scope, id.key] }),
    ...(steps.length === 0 ? {} : { steps }),
    ...(record.outcome === undefined ? {} : { outcome: storedOutcome(record.outcome, payload) }),
    ...(record.heldReason === undefined ? {} : { heldReason: record.heldReason }),
  }
  const running = record.state === 'running'
  return {
    digest: id.digest,
    scope,
    key,
    state: record.state,
    fingerprint: record.fingerprint ?? null,
    on_crash: record.onCrash,
    holds: running && expiresAt === undefined,
    owner: record.owner ?? null,
    fence: record.fence,
    attempt: record.attempt,
    created_at: record.createdAt,
    updated_at: record.updatedAt,
    lease_until: record.leaseUntil,
    retention_ms: record.retentionMs,
    expires_at: running ? null : (expiresAt ?? null),
    asks: record.asks,
    next_ask_at: record.nextAskAt,
    duplicates: record.duplicates,
    detail: Object.keys(detail).length === 0 ? null : JSON.stringify(detail),
    history: JSON.stringify(record.history.map(storedEvent)),
    payload: payload.length > 1 ? Buffer.concat(payload) : (payload[0] ?? null),
  }
}

/** What `complete` writes into `detail` and `payload` of a record whose identity its columns can hold. */
export function outcomeColumns(
  outcome: Outcome,
): Pick<RecordColumns, 'payload'> & { readonly detail: string } {
  const payload: Uint8Array[] = []
  const detail = JSON.stringify({ outcome: storedOutcome(outcome, payload) } satisfies Detail)
  return { detail, payload: payload[0] ?? null }
}

/** Whether the columns hold this text as it is. */
export function fitsColumn(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** Text as a column can hold it; `detail` then has the text itself. */
export function columnText(text: string): string {
  return fitsColumn(text) ? text : text.replaceAll('\0', '\u2400').toWellFormed()
}

/**
 * Reads a record. Numbers may come as numbers, BigInts or text, booleans as 0 and 1, bytes as any Uint8Array.
 *
 * @param where - The database, for messages.
 * @throws `STORE_CORRUPT` with effect unknown for a row that no store wrote.
 */
export function fromColumns(row: Row, where: string): OperationRecord {
  try {
    return readColumns(row)
  } catch (cause) {
    const digest = typeof row['digest'] === 'string' ? row['digest'] : '(unreadable)'
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new OncewardError(
      'STORE_CORRUPT',
      `operation ${digest} in ${where} cannot be read (${reason}); restore that row, or settle by hand what became of it`,
      { cause, effect: 'unknown' },
    )
  }
}

function readColumns(row: Row): OperationRecord {
  const detail = row['detail'] === null ? {} : (parsed(row, 'detail') as Detail)
  const takeBytes = reader(row['payload'])
  const state = oneOf(row, 'state', ['running', 'done', 'held', 'released'] as const)
  const [scope, key] = detail.id ?? [text(row, 'scope'), text(row, 'key')]
  const steps = (detail.steps ?? []).map(([name, stepState, onCrash, length]): StepRecord => {
    const step = { name, state: stepState, onCrash }
    return length === null ? step : { ...step, value: takeBytes(length) }
  })
  const outcome = detail.outcome && readOutcome(detail.outcome, takeBytes)
  if ((state === 'done') !== (outcome !== undefined)) throw new TypeError('done and its outcome disagree')
  const leaseUntil = whole(row, 'lease_until')
  const retentionMs = whole(row, 'retention_ms')
  const holds = flag(row, 'holds')
  const expiresAt =
    state === 'running'
      ? holds
        ? undefined
        : leaseUntil + retentionMs
      : row['expires_at'] === null
        ? undefined
        : whole(row, 'expires_at')
  return {
    id: { scope, key, digest: text(row, 'digest') },
    state,
    ...optionalText(row, 'fingerprint'),
    onCrash: oneOf(row, 'on_crash', ['hold', 'rerun'] as const),
    ...optionalText(row, 'owner'),
    fence: whole(row, 'fence'),
    attempt: whole(row, 'attempt'),
    createdAt: whole(row, 'created_at'),
    updatedAt: whole(row, 'updated_at'),
    leaseUntil,
    retentionMs,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(detail.heldReason === undefined ? {} : { heldReason: detail.heldReason }),
    asks: whole(row, 'asks'),
    nextAskAt: whole(row, 'next_ask_at'),
    steps,
    duplicates: whole(row, 'duplicates'),
    history: (parsed(row, 'history') as readonly StoredEvent[]).map(readEvent),
  }
}

function storedOutcome(outcome: Outcome, payload: Uint8Array[]): StoredOutcome {
  switch (outcome.kind) {
    case 'value':
      payload.push(outcome.value)
      return { kind: 'value', length: outcome.value.length }
    case 'failure':
      return outcome
    case 'unreplayable':
      if (outcome.note) payload.push(outcome.note)
      return { kind: 'unreplayable', reason: outcome.reason, length: outcome.note?.length ?? null }
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
    default:
      throw new TypeError('the outcome is of no kind that is known')
  }
}

function storedEvent({ at, event, attempt, fence, note }: HistoryEntry): StoredEvent {
  return note === undefined ? [at, event, attempt, fence] : [at, event, attempt, fence, note]
}

function readEvent([at, event, attempt, fence, note]: StoredEvent): HistoryEntry {
  return note === undefined ? { at, event, attempt, fence } : { at, event, attempt, fence, note }
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

function optionalText<Column extends string>(row: Row, column: Column): { readonly [C in Column]?: string } {
  if (row[column] === null) return {}
  return { [column]: text(row, column) } as { readonly [C in Column]?: string }
}

function oneOf<const Word extends string>(row: Row, column: string, words: readonly Word[]): Word {
  const value = row[column]
  const word = words.find((one) => one === value)
  if (word === undefined) throw new TypeError(`${column} is ${JSON.stringify(value)}`)
  return word
}

function whole(row: Row, column: string): number {
  const value = row[column]
  const number = typeof value === 'string' || typeof value === 'bigint' ? Number(value) : value
  if (value === '' || !Number.isSafeInteger(number)) throw new TypeError(`${column} is not a whole number`)
  return number as number
}

function flag(row: Row, column: string): boolean {
  const value = row[column]
  if (value === true || value === false) return value
  return whole(row, column) === 1
}

function parsed(row: Row, column: string): unknown {
  const value: unknown = JSON.parse(text(row, column))
  if (typeof value !== 'object' || value === null) throw new TypeError(`${column} is not what was written`)
  return value
}
