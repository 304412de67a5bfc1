import { type Codec, Unstorable } from './codec.ts'
import { messageOf, nameOf, textOf } from './error-note.ts'
import { isOncewardError, OncewardError } from './errors.ts'
import { isPromise } from './is-promise.ts'
import type { RedactContext } from './once-types.ts'
import type { Effect, Failure, OperationId, Outcome } from './operation.ts'
import type { Policy } from './settings.ts'

/** What is stored, and by whose policy. */
interface Stored {
  readonly id: OperationId
  readonly policy: Policy
}

/**
 * Encodes the value of finished work, or of one of its steps. It never throws: the effect has happened, so a value that
 * cannot be stored becomes an outcome that cannot be replayed.
 */
export function valueOutcome({ id, policy }: Stored, value: unknown, step?: string): Outcome {
  const { codec, maxValueBytes: maxBytes } = policy
  const kept = redacted(policy, value, () =>
    step === undefined ? { id, kind: 'value' } : { id, kind: 'step', step },
  )
  if (kept === undefined) return { kind: 'unreplayable', reason: WITHHELD }
  try {
    const bytes = codec.encode(kept.value)
    if (bytes.byteLength <= maxBytes) return { kind: 'value', value: bytes }
    return {
      kind: 'unreplayable',
      reason: `its value has ${bytes.byteLength} bytes, the most that is stored is ${maxBytes}`,
    }
  } catch (error) {
    const note = error instanceof Unstorable ? error.note : undefined
    const reason = messageOf(error)
    return note === undefined ? { kind: 'unreplayable', reason } : { kind: 'unreplayable', reason, note }
  }
}

/** Puts an error into the form in which it is stored. */
export function failureOf(error: unknown, effect: Effect): Failure {
  const code = textOf(() => (error as { code?: unknown }).code, '')
  return {
    name: nameOf(error),
    message: messageOf(error),
    ...(code === '' ? {} : { code }),
    effect,
  }
}

/** {@link failureOf}, as it may be stored. */
export function storedFailure({ id, policy }: Stored, error: unknown, effect: Effect): Failure {
  const kept = redacted(policy, error, () => ({ id, kind: 'error' }))
  return failureOf(kept ? kept.value : WITHHELD, effect)
}

/** The outcome of work that ended in a final failure. */
export function failureOutcome(stored: Stored, error: unknown, effect: Effect): Outcome {
  return { kind: 'failure', failure: storedFailure(stored, error, effect) }
}

/** What it threw may quote what was to be kept out of the store. */
const WITHHELD = 'redact threw, so nothing of it was stored'

/** What is stored in place of `found`; nothing where that cannot be told. */
function redacted(
  { redact }: Policy,
  found: unknown,
  about: () => RedactContext,
): { readonly value: unknown } | undefined {
  if (redact === undefined) return { value: found }
  try {
    const value = redact(found, about())
    if (!isPromise(value)) return { value }
    // Nobody waits for it, so nobody looks at how it ends.
    value.then(undefined, () => {})
  } catch {
    // Told as the reason of the outcome.
  }
  return undefined
}

/**
 * Tells a stored outcome: answers a fresh copy of its value.
 *
 * @throws `OPERATION_FAILED`, `OUTCOME_NOT_REPLAYABLE`, `RECORD_CORRUPT`.
 */
export function replay(id: OperationId, outcome: Outcome, codec: Codec): unknown {
  switch (outcome.kind) {
    case 'value':
      return decode(id, outcome.value, codec)
    case 'failure':
      throw operationFailed(outcome.failure, rebuilt(outcome.failure))
    case 'unreplayable': {
      const message = `the operation is done, but its value cannot be told again: ${outcome.reason}`
      const note = outcome.note === undefined ? {} : { value: decode(id, outcome.note, codec) }
      throw new OncewardError('OUTCOME_NOT_REPLAYABLE', message, note)
    }
  }
}

/** The error that every caller of an operation with a final failure gets. `cause` is the failure itself. */
export function operationFailed(failure: Failure, cause: unknown): OncewardError {
  return new OncewardError(
    'OPERATION_FAILED',
    `the operation failed for good: ${failure.message || failure.name}`,
    {
      cause,
      effect: failure.effect,
    },
  )
}

function decode(id: OperationId, bytes: Uint8Array, codec: Codec): unknown {
  try {
    return codec.decode(bytes)
  } catch (error) {
    if (isOncewardError(error)) throw error
    throw new OncewardError(
      'RECORD_CORRUPT',
      `the stored outcome of operation ${id.digest} cannot be read; it is not run again`,
      { cause: error },
    )
  }
}

function rebuilt(failure: Failure): Error {
  const error = new Error(failure.message)
  error.name = failure.name
  return failure.code === undefined ? error : Object.assign(error, { code: failure.code })
}
