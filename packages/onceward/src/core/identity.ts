import { hash } from 'node:crypto'
import type { OperationId } from './operation.ts'

/** The longest scope and the longest key that are accepted, in UTF-8 bytes. A longer key is to be derived (hashed). */
export const MAX_SCOPE_BYTES = 1024
/** See {@link MAX_SCOPE_BYTES}. */
export const MAX_KEY_BYTES = 1024

/**
 * Identifies an operation by scope and key.
 *
 * The digest is SHA-256 over the byte length of the scope, the scope, and the key, so that no choice of characters in
 * one part can look like another pair.
 *
 * @throws `TypeError` when either is empty or longer than 1,024 bytes of UTF-8.
 */
export function operationId(scope: string, key: string): OperationId {
  const scopeBytes = checkedLength('scope', scope, MAX_SCOPE_BYTES)
  checkedLength('key', key, MAX_KEY_BYTES)
  const digest = hash('sha256', `${scopeBytes}:${scope}${key}`, 'base64url')
  return { scope, key, digest }
}

/** Joins a namespace and a caller to one scope, so that two pairs never make the same text. */
export function callerScope(namespace: string, caller: string): string {
  return `${namespace.length}:${namespace}/${caller}`
}

function checkedLength(what: 'scope' | 'key', text: string, most: number): number {
  if (typeof text !== 'string' || text === '') throw new TypeError(`${what} must be a non-empty string`)
  if (!text.isWellFormed())
    throw new TypeError(`${what} holds half of a surrogate pair; give well-formed text`)
  const bytes = Buffer.byteLength(text)
  if (bytes > most)
    throw new TypeError(
      `${what} has ${bytes} bytes, the most is ${most}; derive a shorter one with deriveKey`,
    )
  return bytes
}
