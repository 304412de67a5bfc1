import { hash } from 'node:crypto'
import { canonicalText } from './canonical-text.ts'

/**
 * Digests the input of an operation: equal inputs have equal fingerprints, different ones different fingerprints.
 *
 * Types count: `1` is not `'1'`, a Date not its text, a Map not an object, a field that is `undefined` neither `null`
 * nor a missing one. The order of fields, map entries and set members does not count, nor whether bytes are a Buffer
 * or a Uint8Array, nor whether an object has a prototype of `null`. An instance of a class counts as what its `toJSON`
 * answers.
 *
 * @returns SHA-256 as base64url, 43 characters; `undefined` for no input.
 * @throws `TypeError` naming the path of what cannot be told apart: functions, symbols, promises, instances of classes
 * without `toJSON`, cycles, nesting beyond 1,000 levels.
 */
export function fingerprintOf(input: unknown): string | undefined {
  return input === undefined ? undefined : hash('sha256', canonicalText(input, 'input', 'input'), 'base64url')
}
