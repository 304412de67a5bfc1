import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { kindOf } from '../../core/known-fields.ts'

/** One key of a ring. */
export interface EncryptionKey {
  /** Its name, which is stored with everything it seals: 1 to 32 letters, digits, `.`, `_` or `-`. Never give it to another key. */
  readonly id: string
  /** 32 random bytes, or the same as base64 or base64url. */
  readonly key: Uint8Array | string
}

/** What the keys derived from a key of the ring are for. */
export type Purpose = 'seal' | 'fingerprint' | 'fingerprint nonce'

/** The keys by their ids. */
export interface KeyRing {
  /** The first one seals. */
  readonly ids: readonly [string, ...string[]]
  /** The key of one operation for one purpose; nothing for an id that is not in the ring. */
  keyOf(id: string, purpose: Purpose, digest: string): Buffer | undefined
}

/** The length of a key, in bytes. */
const KEY_BYTES = 32

/** The longest id, in bytes. */
export const MAX_ID_BYTES = 32

const ID = /^[A-Za-z0-9._-]{1,32}$/

/**
 * Reads the keys. What is given is copied, and shows nowhere when the ring is printed.
 *
 * Each operation gets keys of its own (HMAC-SHA256 of the purpose and its digest). So the count of values that one key
 * may seal with random nonces holds for one operation, and is out of reach.
 *
 * @throws `TypeError` for a ring that cannot be used; its message never holds a key.
 */
export function keyRing(keys: readonly EncryptionKey[]): KeyRing {
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new TypeError('encryptedStore needs keys: a list of at least one { id, key }')
  }
  const ring = new Map<string, KeyObject>()
  for (const given of keys as readonly EncryptionKey[]) {
    const id: unknown = given?.id
    if (typeof id !== 'string' || !ID.test(id))
      throw new TypeError(
        `the id of a key must be 1 to 32 letters, digits, ".", "_" or "-", not ${kindOf(id)}`,
      )
    if (ring.has(id)) throw new TypeError(`two keys have the id "${id}"; give each key an id of its own`)
    ring.set(id, createSecretKey(bytesOf(id, given.key)))
  }
  return {
    ids: [...ring.keys()] as [string, ...string[]],
    keyOf(id, purpose, digest) {
      const key = ring.get(id)
      return key && createHmac('sha256', key).update(`onceward ${purpose} ${digest}`).digest()
    },
  }
}

function bytesOf(id: string, key: unknown): Uint8Array {
  const bytes =
    typeof key === 'string' && /^[A-Za-z0-9+/_-]{43}=?$/.test(key) ? Buffer.from(key, 'base64') : key
  if (bytes instanceof Uint8Array && bytes.byteLength === KEY_BYTES) {
    if (bytes.some((byte) => byte !== 0)) return Uint8Array.from(bytes)
    throw new TypeError(`key "${id}" is all zeros; make one with crypto.randomBytes(32)`)
  }
  const found = bytes instanceof Uint8Array ? `${bytes.byteLength} bytes` : `${kindOf(key)} that is neither`
  throw new TypeError(`key "${id}" must be 32 bytes, or their base64, not ${found}`)
}
