import type {
  HistoryEntry,
  OperationId,
  OperationRecord,
  OperationState,
  Outcome,
  StepRecord,
} from '../../core/operation.ts'
import { type ByteReader, byteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'

/** The states, by the number under which they are stored. */
export const STATES: readonly (OperationState | undefined)[] = [
  undefined,
  'running',
  'done',
  'held',
  'released',
]

const EVENTS: readonly (HistoryEntry['event'] | undefined)[] = [
  undefined,
  'claimed',
  'taken-over',
  'completed',
  'failed',
  'released',
  'held',
  'resolved',
]

const VALUE = 1
const FAILURE = 2
const UNREPLAYABLE = 3
const UNREPLAYABLE_WITH_NOTE = 4

/** Reads a record as the scripts store it: see `record-lua.ts`. @throws for bytes that are none. */
export function readRecord(bytes: Buffer, digest: string): OperationRecord {
  const read = byteReader(bytes)
  const form = read.text(2)
  if (form === '\x01P') return readShort(read, digest)
  if (form !== '\x01R') throw new TypeError('it is not a record')
  const state = STATES[read.byte()]
  if (state === undefined) throw new TypeError('it has no known state')
  const onCrash = read.byte() === 1 ? 'hold' : 'rerun'
  read.byte() // Whether somebody waits.
  const events = read.byte()
  const [attempt, duplicates, asks] = [read.uint32(), read.uint32(), read.uint32()]
  const fence = read.double()
  const [createdAt, updatedAt, leaseUntil] = [read.double(), read.double(), read.double()]
  const [retentionMs, expiresAt, nextAskAt] = [read.double(), read.double(), read.double()]
  const lengths = [read.uint32(), read.uint32(), read.uint32(), read.uint32(), read.uint32(), read.uint32()]
  const [ownerLength = 0, printLength = 0, idLength = 0, reasonLength = 0, , stepsLength = 0] = lengths
  const owner = read.text(ownerLength)
  const fingerprint = printLength > 0 ? read.text(printLength).slice(1) : undefined
  const id = readId(read, idLength, digest)
  const heldReason = read.text(reasonLength)
  const history = Array.from({ length: events }, () => readEvent(read))
  const steps = readSteps(read, stepsLength)
  const outcome = state === 'done' ? readOutcome(read) : undefined
  return {
    id,
    state,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    onCrash,
    ...(owner === '' ? {} : { owner }),
    fence,
    attempt,
    createdAt,
    updatedAt,
    leaseUntil,
    retentionMs,
    ...(expiresAt < 0 ? {} : { expiresAt }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(state === 'held' ? { heldReason } : {}),
    asks,
    nextAskAt,
    steps,
    duplicates,
    history,
  }
}

/** Reads a record that was claimed once and, at most, completed. */
function readShort(read: ByteReader, digest: string): OperationRecord {
  const fence = read.double()
  const owner = read.text(read.uint16())
  const createdAt = Math.floor(fence / 1000)
  const [leaseMs, claimedFor] = [read.double(), read.double()]
  const onCrash = read.byte() === 1 ? 'hold' : 'rerun'
  const [printLength, idLength] = [read.uint32(), read.uint32()]
  const fingerprint = printLength > 0 ? read.text(printLength).slice(1) : undefined
  const id = readId(read, idLength, digest)
  const leaseUntil = createdAt + leaseMs
  const claimed: HistoryEntry = { at: createdAt, event: 'claimed', attempt: 1, fence }
  const common = {
    id,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    onCrash,
    owner,
    fence,
    attempt: 1,
    createdAt,
    leaseUntil,
    asks: 0,
    nextAskAt: 0,
    steps: [],
    duplicates: 0,
  } as const
  read.byte()
  if (read.done()) {
    const expiry = onCrash === 'hold' ? {} : { expiresAt: leaseUntil + claimedFor }
    const running = { state: 'running', updatedAt: createdAt, retentionMs: claimedFor } as const
    return { ...common, ...running, ...expiry, history: [claimed] }
  }
  const [updatedAt, retentionMs] = [read.double(), read.double()]
  const event = EVENTS[read.byte()]
  if (event === undefined) throw new TypeError('its history has an unknown event')
  const history = [claimed, { at: updatedAt, event, attempt: 1, fence }]
  const outcome = readOutcome(read)
  return {
    ...common,
    state: 'done',
    updatedAt,
    retentionMs,
    expiresAt: updatedAt + retentionMs,
    outcome,
    history,
  }
}

/** Writes the lengths of both and then, told apart from none by one byte in front, the fingerprint, and scope and key. */
export function writePrintAndId(
  to: ByteWriter,
  fingerprint: string | undefined,
  { scope, key }: OperationId,
): void {
  const lengths = to.length
  to.uint32(0)
  to.uint32(0)
  const print = to.length
  if (fingerprint !== undefined) {
    to.byte(1)
    to.text(fingerprint)
  }
  const id = to.length
  to.part(scope)
  to.part(key)
  to.patch32(id - print, lengths)
  to.patch32(to.length - id, lengths + 4)
}

/** Reads scope and key of `length` bytes. */
export function readId(read: ByteReader, length: number, digest: string): OperationId {
  const before = read.left()
  const scope = read.text(read.uint32())
  const key = read.text(read.uint32())
  if (before - read.left() !== length) throw new TypeError('its scope and key cannot be told apart')
  return { scope, key, digest }
}

/** Writes an outcome. */
export function writeOutcome(to: ByteWriter, outcome: Outcome): void {
  switch (outcome.kind) {
    case 'value':
      to.byte(VALUE)
      to.part(outcome.value)
      break
    case 'failure':
      to.byte(FAILURE)
      to.part(JSON.stringify(outcome.failure))
      break
    case 'unreplayable':
      to.byte(outcome.note ? UNREPLAYABLE_WITH_NOTE : UNREPLAYABLE)
      to.part(outcome.reason)
      if (outcome.note) to.part(outcome.note)
  }
}

/** Reads an outcome. */
export function readOutcome(read: ByteReader): Outcome {
  const kind = read.byte()
  const length = read.uint32()
  switch (kind) {
    case VALUE:
      return { kind: 'value', value: read.take(length) }
    case FAILURE: {
      const { name, message, code, effect } = JSON.parse(read.text(length)) as Extract<
        Outcome,
        { kind: 'failure' }
      >['failure']
      const failure = { name, message, ...(code === undefined ? {} : { code }), effect }
      return { kind: 'failure', failure }
    }
    case UNREPLAYABLE:
      return { kind: 'unreplayable', reason: read.text(length) }
    case UNREPLAYABLE_WITH_NOTE: {
      const reason = read.text(length)
      return { kind: 'unreplayable', reason, note: read.take(read.uint32()) }
    }
    default:
      throw new TypeError('its outcome is of no known kind')
  }
}

/** Writes a step as one part, with the note that is kept should the claim lapse inside it. */
export function writeStep(to: ByteWriter, step: StepRecord, lapseNote: string): void {
  const start = to.begin()
  to.part(step.name)
  to.byte(step.state === 'done' ? 2 : 1)
  to.byte(step.onCrash === 'hold' ? 1 : 0)
  to.optional(step.value)
  to.part(lapseNote)
  to.end(start)
}

/** Reads steps of `length` bytes together. */
export function readSteps(read: ByteReader, length: number): StepRecord[] {
  const steps: StepRecord[] = []
  const until = read.left() - length
  while (read.left() > until) {
    const name = read.text(read.uint32())
    const state = read.byte() === 2 ? 'done' : 'started'
    const onCrash = read.byte() === 1 ? 'hold' : 'rerun'
    const valueLength = read.uint32()
    if (valueLength > 0) read.byte()
    const value = valueLength > 0 ? read.take(valueLength - 1) : undefined
    read.text(read.uint32())
    steps.push({ name, state, onCrash, ...(value === undefined ? {} : { value }) })
  }
  return steps
}

function readEvent(read: ByteReader): HistoryEntry {
  const at = read.double()
  const event = EVENTS[read.byte()]
  if (event === undefined) throw new TypeError('its history has an unknown event')
  const attempt = read.uint32()
  const fence = read.double()
  const length = read.uint16()
  if (length === 0) return { at, event, attempt, fence }
  return { at, event, attempt, fence, note: read.text(length - 1) }
}
