import { OncewardError } from '../core/errors.ts'
import { fingerprintOf } from '../core/fingerprint.ts'
import type { OperationRecord } from '../core/operation.ts'
import { valueCodec } from '../core/value-codec.ts'

/** What is remembered of a token from its issue on. It never changes. */
export interface IssuedToken {
  /** SHA-256 of the token. */
  readonly digest: string
  readonly scope: string
  readonly payload: unknown
  readonly ttlMs: number
  /** When it expires, in ms on the store's clock. */
  readonly expiresAt: number
}

/**
 * The input under which a token is issued: what another operation has left under the key of an issue is no token. A BigInt is in no
 * text and in no JSON that somebody may send.
 */
export const ISSUED: readonly unknown[] = [0n, 'onceward: a one-time token is issued']

/** Writes what is remembered of a token. @throws `TypeError` that names the part of the payload that cannot be stored. */
export function encodeIssued({
  scope,
  payload,
  ttlMs,
}: Pick<IssuedToken, 'scope' | 'payload' | 'ttlMs'>): Uint8Array {
  return valueCodec.encode([scope, ttlMs, payload])
}

/**
 * Reads it from the record of its issue; nothing where that has not ended (its issuer crashed, nobody was given it).
 *
 * @throws `RECORD_CORRUPT` for what was not written by {@link encodeIssued}.
 */
export function readIssued(digest: string, record: OperationRecord | undefined): IssuedToken | undefined {
  if (record?.state !== 'done' || record.outcome?.kind !== 'value') return undefined
  if (record.fingerprint !== fingerprintOf(ISSUED)) return undefined
  const [scope, ttlMs, payload] = decoded(record, record.outcome.value)
  return { digest, scope, payload, ttlMs, expiresAt: record.updatedAt + ttlMs }
}

function decoded(
  record: OperationRecord,
  bytes: Uint8Array,
): [scope: string, ttlMs: number, payload: unknown] {
  try {
    const parts = valueCodec.decode(bytes)
    if (!Array.isArray(parts) || typeof parts[0] !== 'string' || typeof parts[1] !== 'number')
      throw new TypeError('it is not what a token is stored as')
    return [parts[0], parts[1], parts[2]]
  } catch (cause) {
    throw new OncewardError(
      'RECORD_CORRUPT',
      `the record ${record.id.digest} of an issued token cannot be read; the token cannot be used`,
      { cause, effect: 'none' },
    )
  }
}
