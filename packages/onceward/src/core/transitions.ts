/**
 * The life of a record as pure functions: what each call of the store port changes, and what it answers.
 * A store that can read and write under one lock (memory, SQLite, the simulation) runs these as they are;
 * stores that decide on the server express the same rules in their own language and are held to them by the
 * conformance suite.
 *
 * Each function answers the record to write, or nothing when nothing changes.
 */
import { clipNote } from './clip-note.ts'
import { namedNote } from './error-note.ts'
import type { Claim, Failure, HistoryEntry, OperationRecord, Outcome, StepRecord } from './operation.ts'
import { lapseHolds, withEvent, withExpiry, withFingerprint, withoutFingerprint } from './record-draft.ts'
import type { AskTurn, AuditEntry, ClaimReply, ClaimRequest, Resolution, ResolveReply } from './store.ts'

/** The record to write, if any, and the answer to give. */
export interface Transition<Reply> {
  readonly write?: OperationRecord
  readonly reply: Reply
  /** A line of the audit that is written in the same step. */
  readonly audit?: AuditEntry
}

/** Decides a claim. `found` is the stored record, expired ones included; `now` is store time in ms. */
export function claim(
  found: OperationRecord | undefined,
  request: ClaimRequest,
  now: number,
): Transition<ClaimReply> {
  const record = found && !isExpired(found, now) ? found : undefined
  if (record === undefined) return grant(found?.fence ?? 0, freshFrom(request, now), request, now, false)
  // A claim whose reply was lost is asked again under the same nonce: it is the same claim.
  if (record.state === 'running' && record.owner === request.owner) {
    const write = withExpiry({ ...record, leaseUntil: now + request.leaseMs })
    return { write, reply: claimedReply(write, record.attempt > 1 && lastEvent(record) === 'taken-over') }
  }
  // The mismatch is told first, whatever the state, and leaves the record as it is.
  if (isOtherInput(record, request)) return { reply: { state: 'reused' } }
  switch (record.state) {
    case 'done':
      return { reply: doneReply(record, now) }
    case 'held':
      return { ...counted(record, request), reply: heldReply(record, now) }
    case 'released':
      // A request that arrives after its own claim was given back comes from a caller that has gone.
      if (record.owner === request.owner) {
        return { reply: { state: 'running', attempt: record.attempt, remainingMs: 0 } }
      }
      return grant(record.fence, record, request, now, false)
    case 'running': {
      if (now < record.leaseUntil) {
        const reply: ClaimReply = {
          state: 'running',
          attempt: record.attempt,
          remainingMs: record.leaseUntil - now,
        }
        return { ...counted(record, request), reply }
      }
      if (!lapseHolds(record)) return grant(record.fence, record, request, now, true)
      const held = lapse(record, now)
      return { write: held, ...counted(held, request), reply: heldReply(held, now) }
    }
  }
}

/** Prolongs a claim from now. A lapsed claim that nobody has taken may still be renewed: nobody else ran. */
export function renew(
  record: OperationRecord | undefined,
  claim: Claim,
  leaseMs: number,
  now: number,
): Transition<boolean> {
  if (!owns(record, claim)) return { reply: false }
  return { write: withExpiry({ ...record, leaseUntil: now + leaseMs }), reply: true }
}

/** Remembers a step. A finished step stays finished. */
export function checkpoint(
  record: OperationRecord | undefined,
  claim: Claim,
  step: StepRecord,
): Transition<boolean> {
  if (!owns(record, claim)) return { reply: false }
  const known = record.steps.find((other) => other.name === step.name)
  if (known?.state === 'done') return { reply: true }
  const steps = known
    ? record.steps.map((other) => (other === known ? step : other))
    : [...record.steps, step]
  return { write: withExpiry({ ...record, steps }), reply: true }
}

/** Ends an operation. Repeating it, after a lost reply, answers true and changes nothing. */
export function complete(
  record: OperationRecord | undefined,
  claim: Claim,
  outcome: Outcome,
  retentionMs: number,
  now: number,
): Transition<boolean> {
  if (endedBy(record, claim, 'done')) return { reply: true }
  if (!owns(record, claim)) return { reply: false }
  const event = outcome.kind === 'failure' ? 'failed' : 'completed'
  const ended = { outcome, expiresAt: now, ...record, state: 'done' as const, retentionMs, steps: [] }
  ended.outcome = outcome
  const write = withEvent(ended, event, now)
  return { write, reply: true }
}

/** Gives an operation back. Finished steps are kept for the next attempt; a started one did not happen. */
export function release(
  record: OperationRecord | undefined,
  claim: Claim,
  failure: Failure | undefined,
  now: number,
): Transition<boolean> {
  if (endedBy(record, claim, 'released')) return { reply: true }
  if (!owns(record, claim)) return { reply: false }
  const steps = record.steps.filter((step) => step.state === 'done')
  const write = withEvent(
    { ...record, state: 'released', steps },
    'released',
    now,
    failure && namedNote(failure),
  )
  return { write, reply: true }
}

/** Marks the outcome as unknown. */
export function hold(
  record: OperationRecord | undefined,
  claim: Claim,
  reason: string,
  now: number,
): Transition<boolean> {
  if (endedBy(record, claim, 'held')) return { reply: true }
  if (!owns(record, claim)) return { reply: false }
  return { write: toHeld(record, reason, now), reply: true }
}

/** What the sweeper makes of a record: a lapsed `hold` becomes held, everything else stays. */
export function sweep(record: OperationRecord, now: number): OperationRecord | undefined {
  const lapsed = record.state === 'running' && now >= record.leaseUntil
  return lapsed && lapseHolds(record) ? lapse(record, now) : undefined
}

/** Grants the turn to ask what became of a held operation to one caller at a time. */
export function takeTurn(
  record: OperationRecord | undefined,
  turn: AskTurn,
  now: number,
): Transition<boolean> {
  if (record?.state !== 'held' || record.fence !== turn.fence || record.asks !== turn.asks)
    return { reply: false }
  if (turn.holding) return { write: { ...record, nextAskAt: now + turn.quietMs }, reply: true }
  if (now < record.nextAskAt) return { reply: false }
  return { write: { ...record, asks: record.asks + 1, nextAskAt: now + turn.quietMs }, reply: true }
}

/** Decides a held operation, and says so in the audit. */
export function resolve(
  record: OperationRecord | undefined,
  resolution: Resolution,
  now: number,
): Transition<ResolveReply> {
  if (record === undefined || isExpired(record, now)) return { reply: { state: 'absent' } }
  const held = sweep(record, now) ?? record
  if (held.state !== 'held' || held.fence !== resolution.fence) {
    return { reply: { state: 'conflict', found: held.state, fence: held.fence } }
  }
  const { heldReason: _, owner: __, ...rest } = held
  const done = resolution.as.state === 'done'
  const retentionMs = resolution.retentionMs ?? held.retentionMs
  const decided: OperationRecord = {
    ...rest,
    state: resolution.as.state,
    retentionMs,
    steps: done ? [] : held.steps.filter((step) => step.state === 'done'),
    ...(resolution.as.state === 'done' ? { outcome: resolution.as.outcome } : {}),
  }
  const write = withEvent(decided, 'resolved', now, `${resolution.actor}: ${resolution.reason}`)
  const failed = resolution.as.state === 'done' && resolution.as.outcome.kind === 'failure'
  return {
    write,
    reply: { state: 'resolved', record: write },
    audit: {
      at: now,
      digest: held.id.digest,
      scope: held.id.scope,
      key: held.id.key,
      fence: held.fence,
      as: failed ? 'failed' : resolution.as.state,
      actor: clipNote(resolution.actor),
      reason: clipNote(resolution.reason),
    },
  }
}

/** Whether a record is to be treated as absent. */
export function isExpired(record: OperationRecord, now: number): boolean {
  return record.expiresAt !== undefined && now >= record.expiresAt
}

/**
 * Whether an expired record may be removed: only once a fresh record would get a greater fence, so that fences keep
 * increasing within one millisecond and after a clock was set back.
 */
export function isForgettable(record: OperationRecord, now: number): boolean {
  return isExpired(record, now) && record.fence < Math.floor(now * 1000)
}

function grant(
  previousFence: number,
  base: OperationRecord,
  request: ClaimRequest,
  now: number,
  takenOver: boolean,
): Transition<ClaimReply> {
  const { fingerprint, owner } = request
  const claimed: OperationRecord = {
    ...(fingerprint === undefined ? withoutFingerprint(base) : withFingerprint(base, fingerprint)),
    state: 'running',
    onCrash: request.onCrash,
    owner,
    // Store time in µs keeps fences increasing even where the record, and with it the previous fence, was lost.
    fence: Math.max(previousFence + 1, Math.floor(now * 1000)),
    attempt: base.attempt + 1,
    leaseUntil: now + request.leaseMs,
    retentionMs: request.retentionMs,
    steps: base.steps.filter((step) => step.state === 'done'),
  }
  const write = withEvent(claimed, takenOver ? 'taken-over' : 'claimed', now)
  return { write, reply: claimedReply(write, takenOver) }
}

function freshFrom(request: ClaimRequest, now: number): OperationRecord {
  const { id, owner, fingerprint, onCrash, retentionMs } = request
  const fresh: OperationRecord = {
    id,
    state: 'released',
    onCrash,
    owner,
    fence: 0,
    attempt: 0,
    createdAt: now,
    updatedAt: now,
    leaseUntil: now,
    retentionMs,
    asks: 0,
    nextAskAt: 0,
    steps: [],
    duplicates: 0,
    history: [],
  }
  return fingerprint === undefined ? fresh : { fingerprint, ...fresh }
}

function claimedReply(record: OperationRecord, takenOver: boolean): ClaimReply {
  const { id, owner = '', fence, attempt } = record
  const steps = record.steps.filter((step) => step.state === 'done')
  return { state: 'claimed', claim: { id, owner, fence, attempt }, takenOver, steps }
}

function doneReply(record: OperationRecord, now: number): ClaimReply {
  const { outcome, attempt, fence, expiresAt = now } = record
  if (outcome === undefined) throw new TypeError(`record ${record.id.digest} is done without an outcome`)
  return { state: 'done', outcome, attempt, fence, remainingMs: expiresAt - now }
}

function heldReply(record: OperationRecord, now: number): ClaimReply {
  const { heldReason = 'unknown', fence, attempt, asks, nextAskAt } = record
  return { state: 'held', reason: heldReason, fence, attempt, asks, mayAskInMs: Math.max(0, nextAskAt - now) }
}

/** A released record without finished steps had no effect, so another input may use its key. */
function isOtherInput(record: OperationRecord, request: ClaimRequest): boolean {
  if (record.state === 'released' && record.steps.length === 0) return false
  if (record.fingerprint === undefined || request.fingerprint === undefined) return false
  return record.fingerprint !== request.fingerprint
}

/** Counts a caller that was turned away, the first time it asks. */
function counted(record: OperationRecord, request: ClaimRequest): { readonly write?: OperationRecord } {
  return request.again ? {} : { write: { ...record, duplicates: record.duplicates + 1 } }
}

function owns(record: OperationRecord | undefined, claim: Claim): record is OperationRecord {
  return record?.state === 'running' && record.owner === claim.owner && record.fence === claim.fence
}

/** Whether this very claim has put the record into `state` already: the reply to it was lost. */
function endedBy(
  record: OperationRecord | undefined,
  claim: Claim,
  state: 'done' | 'released' | 'held',
): boolean {
  return record?.state === state && record.owner === claim.owner && record.fence === claim.fence
}

function lapse(record: OperationRecord, now: number): OperationRecord {
  const { owner: _, ...rest } = record
  const step = record.steps.find((other) => other.state === 'started')
  const where = step ? ` in step "${step.name}"` : ''
  return toHeld(rest, `the claim lapsed${where} without an outcome`, now)
}

function toHeld(record: OperationRecord, reason: string, now: number): OperationRecord {
  return withEvent(
    { ...record, state: 'held', heldReason: clipNote(reason), asks: 0, nextAskAt: now },
    'held',
    now,
    reason,
  )
}

function lastEvent(record: OperationRecord): HistoryEntry['event'] | undefined {
  return record.history.at(-1)?.event
}
