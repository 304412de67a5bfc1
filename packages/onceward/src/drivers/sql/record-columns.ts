import type { OnCrash, OperationRecord, Outcome } from '../../core/operation.ts'
import {
  joinedPayload,
  type StoredOutcome,
  type StoredStep,
  storedEvent,
  storedOutcome,
  storedStep,
} from './stored-parts.ts'

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

/** What is never searched for. */
export interface Detail {
  /** Scope and key, where their columns cannot hold them. */
  readonly id?: readonly [scope: string, key: string]
  readonly outcome?: StoredOutcome
  readonly heldReason?: string
  /** The last member is the length of the value in the payload. */
  readonly steps?: readonly StoredStep[]
}

/** Writes a record as columns. */
export function toColumns(record: OperationRecord): RecordColumns {
  const { id, expiresAt } = record
  const payload: Uint8Array[] = []
  const steps = record.steps.map((step) => storedStep(step, payload))
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
    payload: joinedPayload(payload),
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
