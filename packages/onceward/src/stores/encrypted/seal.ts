import { createCipheriv, createDecipheriv, createHmac, randomFillSync } from 'node:crypto'
import { OncewardError } from '../../core/errors.ts'
import { type KeyRing, MAX_ID_BYTES } from './key-ring.ts'

/**
 * A sealed value:
 *
 * ```
 *  F5 6F 77 73 │ version 01 │ length of key id │ key id │ nonce, 12 │ ciphertext │ tag, 16
 *  └────────────────── header, authenticated ──────────┘
 * ```
 *
 * AES-256-GCM. The associated data is the header, the digest of the operation and the place of the value within it, so
 * that a value opens nowhere but where it was sealed. The first byte never occurs in UTF-8.
 */
const MAGIC = Buffer.from([0xf5, 0x6f, 0x77, 0x73])
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'

/** Text that is sealed is stored as this and the sealed bytes in base64url. */
export const SEALED_TEXT = 'sealed'

/** Where a value belongs: what kind it is, and what tells it from others of its kind. */
export type Place =
  | readonly ['outcome']
  | readonly ['failure', effect: string]
  | readonly ['note']
  | readonly ['reason']
  | readonly ['step', name: string]
  | readonly ['told']
  | readonly ['fingerprint']

/** Tells whether bytes are a sealed value, of whatever key. */
export function isSealed(bytes: Uint8Array): boolean {
  return bytes.byteLength > MAGIC.length && MAGIC.equals(bytes.subarray(0, MAGIC.length))
}

/** Seals with the first key of the ring. */
export function seal(ring: KeyRing, digest: string, place: Place, plain: Uint8Array): Buffer {
  const [id] = ring.ids
  const nonce = randomFillSync(Buffer.allocUnsafe(NONCE_BYTES))
  return sealed(id, requiredKey(ring, id, 'seal', digest), nonce, digest, place, plain)
}

/**
 * Seals so that equal fingerprints of one operation are equal when sealed with the same key: the nonce is a keyed digest
 * of what is sealed (synthetic initialisation vector), so it repeats for the same fingerprint only.
 */
export function sealFingerprint(ring: KeyRing, id: string, digest: string, fingerprint: string): Buffer {
  const nonce = createHmac('sha256', requiredKey(ring, id, 'fingerprint nonce', digest))
    .update(fingerprint)
    .digest()
    .subarray(0, NONCE_BYTES)
  const key = requiredKey(ring, id, 'fingerprint', digest)
  return sealed(id, key, nonce, digest, ['fingerprint'], Buffer.from(fingerprint))
}

/** Opens what {@link seal} or {@link sealFingerprint} made for this very place. @throws `RECORD_CORRUPT` with the mend. */
export function open(ring: KeyRing, digest: string, place: Place, bytes: Uint8Array): Buffer {
  const { id, header, nonce, ciphertext, tag } = parts(digest, bytes)
  const key = ring.keyOf(id, place[0] === 'fingerprint' ? 'fingerprint' : 'seal', digest)
  if (key === undefined) {
    throw corrupt(
      digest,
      `was sealed with key "${id}", which is not among the keys (${ring.ids.join(', ')}); add it at the end of keys`,
    )
  }
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAAD(associated(header, digest, place)).setAuthTag(tag)
  try {
    return Buffer.concat([decipher.update(ciphertext), decipher.final()])
  } catch (cause) {
    throw corrupt(
      digest,
      `does not open with key "${id}": it was changed, belongs to another operation, or the key of that id is another one; ` +
        'give the key it was sealed with, or restore the record',
      cause,
    )
  }
}

/** What is stored cannot be used. Its operation is done, or a step of it is: it is never run again. */
export function corrupt(digest: string, what: string, cause?: unknown): OncewardError {
  const message = `what is stored of operation ${digest} ${what}. It is not run again`
  return new OncewardError('RECORD_CORRUPT', message, cause === undefined ? {} : { cause })
}

function sealed(
  id: string,
  key: Buffer,
  nonce: Buffer,
  digest: string,
  place: Place,
  plain: Uint8Array,
): Buffer {
  const name = Buffer.from(id)
  const header = Buffer.concat([MAGIC, Buffer.from([VERSION, name.byteLength]), name])
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(associated(header, digest, place))
  return Buffer.concat([header, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function associated(header: Buffer, digest: string, place: Place): Buffer {
  return Buffer.concat([header, Buffer.from(JSON.stringify([digest, ...place]))])
}

function parts(
  digest: string,
  bytes: Uint8Array,
): { id: string; header: Buffer; nonce: Buffer; ciphertext: Buffer; tag: Buffer } {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [version, length = 0] = all.subarray(MAGIC.length)
  const nonceAt = MAGIC.length + 2 + length
  const end = all.byteLength - TAG_BYTES
  if (!isSealed(all) || nonceAt + NONCE_BYTES > end || length === 0 || length > MAX_ID_BYTES)
    throw corrupt(digest, 'is damaged; restore the record')
  if (version !== VERSION)
    throw corrupt(digest, `was sealed in form ${version}, which this version does not know; upgrade it`)
  return {
    id: all.toString('latin1', MAGIC.length + 2, nonceAt).replace(/[^A-Za-z0-9._-]/g, '?'),
    header: all.subarray(0, nonceAt),
    nonce: all.subarray(nonceAt, nonceAt + NONCE_BYTES),
    ciphertext: all.subarray(nonceAt + NONCE_BYTES, end),
    tag: all.subarray(end),
  }
}

function requiredKey(ring: KeyRing, id: string, purpose: Parameters<KeyRing['keyOf']>[1], digest: string) {
  const key = ring.keyOf(id, purpose, digest)
  if (key === undefined) throw new TypeError(`no key "${id}" in the ring`)
  return key
}
