import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Effect, Outcome } from '../../core/operation.ts'
import type { KeptEntry } from '../../core/operation-cache.ts'

/** A finished operation as the store has told it. */
export interface CachedOutcome {
  /** Digest of the input that is known to fit; absent where none was given. */
  readonly fingerprint: string | undefined
  readonly fence: number
  readonly attempt: number
  readonly outcome: Outcome
  /** How much longer the store remembers it, in ms. */
  readonly remainingMs: number
}

/** Writes entries and reads them back, believing none that is damaged, foreign or past its time. */
export interface OutcomeEntries {
  /** The bytes to keep for `ttlMs`, for a record that the store remembers for `outcome.remainingMs` more. */
  write(digest: string, cached: CachedOutcome, ttlMs: number): Uint8Array
  /** What the bytes say; `undefined` for anything but an entry of this operation that is still valid. */
  read(digest: string, kept: KeptEntry): CachedOutcome | undefined
}

/** What entries are written and read with. */
export interface EntrySettings {
  readonly secret: string | Uint8Array | undefined
  /** Reads the wall clock, in ms. */
  readonly now: () => number
  /** An entry that is older than its time by more than this is not believed, whatever the cache says of it. */
  readonly maxSkewMs: number
}

/** The layout of an entry; another one is not read. */
const VERSION = 1
const SEAL_BYTES = 16
const HEADER_AT = 1 + SEAL_BYTES + 4

/** What stands before the bytes of the outcome. */
interface Header {
  readonly fingerprint?: string
  readonly fence: number
  readonly attempt: number
  /** How long the store remembers the record, and the cache the entry, counted from `bornAt`, in ms. */
  readonly recordMs: number
  readonly ttlMs: number
  /** Wall clock of the writer, in ms. */
  readonly bornAt: number
  readonly outcome: StoredOutcome
}

type StoredOutcome =
  | { readonly kind: 'value' }
  | Extract<Outcome, { kind: 'failure' }>
  | { readonly kind: 'unreplayable'; readonly reason: string; readonly note: boolean }

/**
 * Entries are sealed with a digest over the operation and all of their bytes: with `secret` by HMAC-SHA256, so that
 * only holders of the secret can make one, otherwise by SHA-256, which finds damage and mix-ups, not forgery.
 */
export function outcomeEntries(settings: EntrySettings): OutcomeEntries {
  const { secret, now, maxSkewMs } = settings
  const sealOf = (digest: string, body: Uint8Array): Buffer => {
    const hash = secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
    return hash.update(digest).update(body).digest().subarray(0, SEAL_BYTES)
  }
  return {
    write(digest, cached, ttlMs) {
      const { fingerprint, fence, attempt, outcome, remainingMs } = cached
      const [stored, payload] = taken(outcome)
      const header: Header = {
        ...(fingerprint === undefined ? {} : { fingerprint }),
        fence,
        attempt,
        recordMs: remainingMs,
        ttlMs,
        bornAt: now(),
        outcome: stored,
      }
      const text = Buffer.from(JSON.stringify(header))
      const bytes = Buffer.alloc(HEADER_AT + text.byteLength + payload.byteLength)
      bytes[0] = VERSION
      bytes.writeUInt32BE(text.byteLength, HEADER_AT - 4)
      bytes.set(text, HEADER_AT)
      bytes.set(payload, HEADER_AT + text.byteLength)
      bytes.set(sealOf(digest, bytes.subarray(HEADER_AT - 4)), 1)
      return bytes
    },
    read(digest, kept) {
      try {
        const { buffer, byteOffset, byteLength } = kept.bytes
        const bytes = Buffer.from(buffer, byteOffset, byteLength)
        if (bytes[0] !== VERSION || byteLength < HEADER_AT) return undefined
        const sealed = sealOf(digest, bytes.subarray(HEADER_AT - 4))
        if (!timingSafeEqual(sealed, bytes.subarray(1, 1 + SEAL_BYTES))) return undefined
        const end = HEADER_AT + bytes.readUInt32BE(HEADER_AT - 4)
        const header = JSON.parse(bytes.toString('utf8', HEADER_AT, end)) as Header
        const ageMs = now() - header.bornAt
        if (!(ageMs < header.ttlMs + maxSkewMs && ageMs >= -maxSkewMs)) return undefined
        return unexpired(header, kept.remainingMs, Uint8Array.from(bytes.subarray(end)))
      } catch {
        // Sealed by somebody who writes other entries than we do.
        return undefined
      }
    },
  }
}

/** The time that has gone by is what the clock of the cache says: durations need no common clock. */
function unexpired(header: Header, keptForMs: number, payload: Uint8Array): CachedOutcome | undefined {
  const { fingerprint, fence, attempt, recordMs, ttlMs } = header
  if (![fence, attempt, recordMs, ttlMs, keptForMs].every(Number.isFinite)) return undefined
  const left = Math.min(keptForMs, ttlMs)
  if (left <= 0) return undefined
  return {
    fingerprint,
    fence,
    attempt,
    outcome: given(header.outcome, payload),
    remainingMs: recordMs - (ttlMs - left),
  }
}

function taken(outcome: Outcome): readonly [StoredOutcome, Uint8Array] {
  switch (outcome.kind) {
    case 'value':
      return [{ kind: 'value' }, outcome.value]
    case 'failure':
      return [outcome, NOTHING]
    case 'unreplayable': {
      const { kind, reason, note } = outcome
      return [{ kind, reason, note: note !== undefined }, note ?? NOTHING]
    }
  }
}

const NOTHING: Uint8Array = new Uint8Array(0)

function given(stored: StoredOutcome, payload: Uint8Array): Outcome {
  switch (stored.kind) {
    case 'value':
      return { kind: 'value', value: payload }
    case 'failure': {
      const { name, message, code, effect } = stored.failure
      const failure = { name: String(name), message: String(message), effect: String(effect) as Effect }
      return { kind: 'failure', failure: code === undefined ? failure : { ...failure, code: String(code) } }
    }
    case 'unreplayable': {
      const { kind, reason, note } = stored
      return note ? { kind, reason: String(reason), note: payload } : { kind, reason: String(reason) }
    }
    default:
      throw new TypeError('the outcome is of no kind that is known')
  }
}
