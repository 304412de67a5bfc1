import type { Failure, OperationRecord, Outcome, StepRecord } from '../../core/operation.ts'
import type { KeyRing } from './key-ring.ts'
import { corrupt, isSealed, open, type Place, SEALED_TEXT, seal, sealFingerprint } from './seal.ts'

/** How one store seals. */
export interface Sealing {
  readonly ring: KeyRing
  /** Whether what is not sealed is read too. */
  readonly acceptPlain: boolean
  /** Whether nothing is sealed yet. */
  readonly writePlain: boolean
  /** Whether reasons and messages of what is held or given back stay readable. */
  readonly plainReasons: boolean
}

/** How much of a reason is kept when it is sealed, in bytes of UTF-8: its sealed form must fit into a note. */
export const MAX_REASON_BYTES = 300

/** What is told where something cannot be opened and is only shown to people: the sealed form, as it is stored. */
type Unopened = 'throw' | 'leave'

/** Seals what an outcome tells. Its kind stays readable, and so does the effect of a failure. */
export function sealOutcome(sealing: Sealing, digest: string, outcome: Outcome): Outcome {
  if (sealing.writePlain) return outcome
  const { ring } = sealing
  switch (outcome.kind) {
    case 'value':
      return { kind: 'value', value: seal(ring, digest, ['outcome'], outcome.value) }
    case 'failure': {
      const { name, message, code, effect } = outcome.failure
      const told = JSON.stringify(code === undefined ? [name, message] : [name, message, code])
      const failure = { name: SEALED_TEXT, message: text(ring, digest, ['failure', effect], told), effect }
      return { kind: 'failure', failure }
    }
    case 'unreplayable': {
      const reason = `${SEALED_TEXT}: ${text(ring, digest, ['reason'], outcome.reason)}`
      return outcome.note === undefined
        ? { kind: 'unreplayable', reason }
        : { kind: 'unreplayable', reason, note: seal(ring, digest, ['note'], outcome.note) }
    }
  }
}

/** Opens an outcome. @throws `RECORD_CORRUPT`. */
export function openOutcome(sealing: Sealing, digest: string, outcome: Outcome): Outcome {
  switch (outcome.kind) {
    case 'value':
      return { kind: 'value', value: openBytes(sealing, digest, ['outcome'], outcome.value) }
    case 'failure': {
      const { name, message, effect } = outcome.failure
      const bytes = name === SEALED_TEXT ? bytesIn(message) : undefined
      if (bytes === undefined) return plainly(sealing, digest, outcome)
      const told = JSON.parse(open(sealing.ring, digest, ['failure', effect], bytes).toString()) as string[]
      const [wasNamed = 'Error', said = '', code] = told
      const failure: Failure = { name: wasNamed, message: said, effect }
      return { kind: 'failure', failure: code === undefined ? failure : { ...failure, code } }
    }
    case 'unreplayable': {
      const bytes = sealedIn(outcome.reason)
      if (bytes === undefined) return plainly(sealing, digest, outcome)
      const reason = open(sealing.ring, digest, ['reason'], bytes).toString()
      return outcome.note === undefined
        ? { kind: 'unreplayable', reason }
        : { kind: 'unreplayable', reason, note: openBytes(sealing, digest, ['note'], outcome.note) }
    }
  }
}

/** Seals the value of a step; its name stays readable. */
export function sealStep(sealing: Sealing, digest: string, step: StepRecord): StepRecord {
  if (step.value === undefined || sealing.writePlain) return step
  return { ...step, value: seal(sealing.ring, digest, ['step', step.name], step.value) }
}

/** Opens the value of a step. @throws `RECORD_CORRUPT`. */
export function openStep(sealing: Sealing, digest: string, step: StepRecord): StepRecord {
  if (step.value === undefined) return step
  return { ...step, value: openBytes(sealing, digest, ['step', step.name], step.value) }
}

/** Seals a reason, cut to {@link MAX_REASON_BYTES}. */
export function sealReason(sealing: Sealing, digest: string, reason: string): string {
  if (sealing.writePlain || sealing.plainReasons) return reason
  return `${SEALED_TEXT}: ${text(sealing.ring, digest, ['told'], clipped(reason))}`
}

/** Seals what is told of a failure that is only noted in the history: as `name: message`. */
export function sealNote(sealing: Sealing, digest: string, failure: Failure): Failure {
  if (sealing.writePlain || sealing.plainReasons) return failure
  const told = clipped(`${failure.name}: ${failure.message}`)
  return {
    name: SEALED_TEXT,
    message: text(sealing.ring, digest, ['told'], told),
    effect: failure.effect,
  }
}

/** Opens a reason or a note. The store itself writes some, for a lapse: those are plain, and what does not open is shown as it is. */
export function openReason(sealing: Sealing, digest: string, reason: string): string {
  const bytes = sealedIn(reason)
  if (bytes === undefined) return reason
  return openedOr(() => open(sealing.ring, digest, ['told'], bytes).toString(), reason)
}

/** Every form the fingerprint of a request may have in a record, the one that is written now first. */
export function sealedFingerprints(sealing: Sealing, digest: string, fingerprint: string): readonly string[] {
  const { ring, acceptPlain, writePlain } = sealing
  const sealed = ring.ids.map(
    (id) => `${SEALED_TEXT}: ${sealFingerprint(ring, id, digest, fingerprint).toString('base64url')}`,
  )
  if (writePlain) return [fingerprint, ...sealed]
  return acceptPlain ? [...sealed, fingerprint] : sealed
}

/** Opens all of a record. `unopened` says what becomes of an outcome or a step that does not open. */
export function openRecord(
  sealing: Sealing,
  digest: string,
  record: OperationRecord,
  unopened: Unopened,
): OperationRecord {
  const opened = <T>(open: () => T, stored: T): T => (unopened === 'throw' ? open() : openedOr(open, stored))
  const { fingerprint, heldReason, outcome } = record
  return {
    ...record,
    ...(fingerprint === undefined ? {} : { fingerprint: openFingerprint(sealing, digest, fingerprint) }),
    ...(heldReason === undefined ? {} : { heldReason: openReason(sealing, digest, heldReason) }),
    ...(outcome === undefined
      ? {}
      : { outcome: opened(() => openOutcome(sealing, digest, outcome), outcome) }),
    steps: record.steps.map((step) => opened(() => openStep(sealing, digest, step), step)),
    history: record.history.map((entry) =>
      entry.note === undefined ? entry : { ...entry, note: openReason(sealing, digest, entry.note) },
    ),
  }
}

/**
 * Whether anything of a record is still sealed: it was read without the key it was sealed with. Who decides such an
 * operation would write what those who have the keys do not believe.
 *
 * Limit: a record of which nothing is sealed yet (no fingerprint, no step, held by a lapse) does not tell.
 */
export function holdsSealed(record: OperationRecord): boolean {
  const texts = [record.fingerprint, record.heldReason, ...record.history.map(({ note }) => note)]
  return (
    texts.some((text) => text !== undefined && sealedIn(text) !== undefined) ||
    record.steps.some(({ value }) => value !== undefined && isSealed(value))
  )
}

function openFingerprint(sealing: Sealing, digest: string, fingerprint: string): string {
  const bytes = sealedIn(fingerprint)
  if (bytes === undefined) return fingerprint
  return openedOr(() => open(sealing.ring, digest, ['fingerprint'], bytes).toString(), fingerprint)
}

function openBytes(sealing: Sealing, digest: string, place: Place, bytes: Uint8Array): Uint8Array {
  if (!isSealed(bytes)) return plainly(sealing, digest, bytes)
  // Bytes of their own, not a part of a pool that others share.
  return new Uint8Array(open(sealing.ring, digest, place, bytes))
}

function plainly<T>(sealing: Sealing, digest: string, plain: T): T {
  if (sealing.acceptPlain) return plain
  throw corrupt(
    digest,
    'is not sealed; set acceptPlain as long as records from before the encryption are remembered',
  )
}

function openedOr<T>(open: () => T, stored: T): T {
  try {
    return open()
  } catch {
    return stored
  }
}

function text(ring: KeyRing, digest: string, place: Place, plain: string): string {
  return seal(ring, digest, place, Buffer.from(plain)).toString('base64url')
}

/** The sealed bytes in a text of the form `sealed: …`. */
function sealedIn(stored: string): Buffer | undefined {
  return stored.startsWith(`${SEALED_TEXT}: `) ? bytesIn(stored.slice(SEALED_TEXT.length + 2)) : undefined
}

function bytesIn(stored: string): Buffer | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(stored)) return undefined
  const bytes = Buffer.from(stored, 'base64url')
  return isSealed(bytes) ? bytes : undefined
}

function clipped(reason: string): string {
  const room = Buffer.allocUnsafe(MAX_REASON_BYTES)
  const encoder = new TextEncoder()
  if (encoder.encodeInto(reason, room).read === reason.length) return reason
  const { read } = encoder.encodeInto(reason, room.subarray(0, MAX_REASON_BYTES - '…'.length * 3))
  return `${reason.slice(0, read)}…`
}
