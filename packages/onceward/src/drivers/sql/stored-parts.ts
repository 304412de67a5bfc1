import type { Failure, HistoryEntry, OnCrash, Outcome, StepRecord } from '../../core/operation.ts'

/**
 * One event of a history. A server can append one as text, `left(history, -1) || ',[…]]'`, without counting those that
 * are there, up to the fifth attempt: an attempt leaves three events at most, and the history holds sixteen.
 */
export type StoredEvent = readonly [
  at: number,
  event: HistoryEntry['event'],
  attempt: number,
  fence: number,
  note?: string,
]

/** A step. The last member is the length of the value in the payload. */
export type StoredStep = readonly [
  name: string,
  state: StepRecord['state'],
  onCrash: OnCrash,
  length: number | null,
]

/** An outcome, without its bytes. */
export type StoredOutcome =
  | { readonly kind: 'value'; readonly length: number }
  | { readonly kind: 'failure'; readonly failure: Failure }
  | { readonly kind: 'unreplayable'; readonly reason: string; readonly length: number | null }

/** A step as it is stored; its bytes are added to the payload. */
export function storedStep({ name, state, onCrash, value }: StepRecord, payload: Uint8Array[]): StoredStep {
  if (value !== undefined) payload.push(value)
  return [name, state, onCrash, value?.length ?? null]
}

/** An outcome as it is stored; its bytes are added to the payload. */
export function storedOutcome(outcome: Outcome, payload: Uint8Array[]): StoredOutcome {
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

/** An event as it is stored. */
export function storedEvent({ at, event, attempt, fence, note }: HistoryEntry): StoredEvent {
  return note === undefined ? [at, event, attempt, fence] : [at, event, attempt, fence, note]
}

/** The bytes one after another; null where there are none. */
export function joinedPayload(payload: readonly Uint8Array[]): Uint8Array | null {
  return payload.length > 1 ? Buffer.concat(payload) : (payload[0] ?? null)
}

/** Takes the next bytes of a payload. */
export type TakeBytes = (length: number) => Uint8Array

/** Hands out a payload piece by piece, each as a copy of its own. @throws `TypeError` where bytes are missing. */
export function payloadReader(payload: unknown): TakeBytes {
  let offset = 0
  return (length) => {
    const from = offset
    offset += length
    if (length === 0) return new Uint8Array(0)
    if (!(payload instanceof Uint8Array) || payload.length < offset) throw new TypeError('bytes are missing')
    return Uint8Array.prototype.slice.call(new Uint8Array(payload.buffer, payload.byteOffset + from, length))
  }
}

/** Reads what `storedStep` wrote. */
export function readStep([name, state, onCrash, length]: StoredStep, takeBytes: TakeBytes): StepRecord {
  const step = { name, state, onCrash }
  return length === null ? step : { ...step, value: takeBytes(length) }
}

/** Reads what `storedOutcome` wrote. @throws `TypeError` for a kind that is not known. */
export function readOutcome(stored: StoredOutcome, takeBytes: TakeBytes): Outcome {
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

/** Reads what `storedEvent` wrote. */
export function readEvent([at, event, attempt, fence, note]: StoredEvent): HistoryEntry {
  return note === undefined ? { at, event, attempt, fence } : { at, event, attempt, fence, note }
}
