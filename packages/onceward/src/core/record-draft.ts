import { clipNote } from './clip-note.ts'
import { type HistoryEntry, MAX_HISTORY, type OperationRecord } from './operation.ts'

/**
 * A record that was made for a transition, and that nobody else knows yet: it is filled in, where a copy would cost.
 *
 * V8 adds a field to the copy of an object slowly (2 µs each, the whole copy takes 0.1 µs), so fields that a copy is to have
 * beyond those of the record stand before it: `{ outcome, ...record }`.
 */
export type Draft = { -readonly [Field in keyof OperationRecord]: OperationRecord[Field] }

/** Adds an event to the history, with which the record has changed now, and sets the expiry. */
export function withEvent(
  draft: Draft,
  event: HistoryEntry['event'],
  now: number,
  note?: string,
): OperationRecord {
  const { attempt, fence, history } = draft
  const entry: HistoryEntry =
    note === undefined
      ? { at: now, event, attempt, fence }
      : { at: now, event, attempt, fence, note: clipNote(note) }
  draft.updatedAt = now
  draft.history = [...(history.length < MAX_HISTORY ? history : history.slice(1 - MAX_HISTORY)), entry]
  return withExpiry(draft)
}

/**
 * Every record but a held one is forgotten some day: an ended one after its retention, a lapsed one that may be rerun
 * when nobody has taken it over for as long. What could hide an effect (held, or lapsing into held) stays.
 */
export function withExpiry(draft: Draft): OperationRecord {
  if (draft.state === 'held' || (draft.state === 'running' && lapseHolds(draft))) return withoutExpiry(draft)
  const end = draft.state === 'running' ? draft.leaseUntil : draft.updatedAt
  const expiresAt = end + draft.retentionMs
  const dated: Draft = draft.expiresAt === undefined ? { expiresAt, ...draft } : draft
  dated.expiresAt = expiresAt
  return dated
}

function withoutExpiry(record: OperationRecord): OperationRecord {
  if (record.expiresAt === undefined) return record
  const { expiresAt: _, ...rest } = record
  return rest
}

/** Whether a lapse of this running record makes it held rather than free to take over. */
export function lapseHolds(record: OperationRecord): boolean {
  return (
    record.onCrash === 'hold' ||
    record.steps.some((step) => step.state === 'started' && step.onCrash === 'hold')
  )
}

/** The record with this fingerprint. */
export function withFingerprint(record: OperationRecord, fingerprint: string): OperationRecord {
  if (record.fingerprint === undefined) return { fingerprint, ...record }
  return record.fingerprint === fingerprint ? record : { ...record, fingerprint }
}

/** The record without one. Leaving a field out is slow, so it is done only where there is one. */
export function withoutFingerprint(record: OperationRecord): OperationRecord {
  if (record.fingerprint === undefined) return record
  const { fingerprint: _, ...rest } = record
  return rest
}
