import { hash } from 'node:crypto'
import type { OperationId } from './operation.ts'

/**
 * Derives the key under which an external system can recognise an operation: the same on every attempt and in every
 * process, another for every operation and every `system`. 43 URL-safe characters; it tells nothing of scope and key.
 *
 * @throws `TypeError` when `system` is not a non-empty string.
 */
export function downstreamKey(id: Pick<OperationId, 'digest'>, system: string): string {
  if (typeof system !== 'string' || system === '' || !system.isWellFormed()) {
    throw new TypeError("system must be a non-empty string that names who gets the key, such as 'stripe'")
  }
  // The digest has a fixed length, so no two pairs make the same text.
  return hash('sha256', `downstream:${id.digest}:${system}`, 'base64url')
}
