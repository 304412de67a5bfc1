import { hash } from 'node:crypto'
import { wholeNumber, written } from '../core/known-fields.ts'
import { checkLockKey } from './lock-options.ts'
import type { Segmented } from './lock-types.ts'

/** The greatest number of segments. */
const MAX_SEGMENTS = 1_000_000

/**
 * Makes the keys of a fixed number of locks that many ids share: `<name>:<n>`, with as many digits for all.
 *
 * The segment of an id is the first 48 bits of the SHA-256 of its UTF-8 text, modulo the number of segments. This never
 * changes: processes with different versions have to agree on it.
 */
export function segmentedKeys(name: string, segments: number): Segmented {
  wholeNumber('segments', segments, 1, MAX_SEGMENTS)
  const digits = String(segments - 1).length
  const keyOf = (segment: number) => `${name}:${String(segment).padStart(digits, '0')}`
  checkLockKey(name)
  checkLockKey(keyOf(0))
  const keyFor = (id: string) => {
    if (typeof id !== 'string' || !id.isWellFormed()) {
      throw new TypeError(`the id of a segment must be well-formed text, not ${written(id)}`)
    }
    return keyOf(Number.parseInt(hash('sha256', id, 'hex').slice(0, 12), 16) % segments)
  }
  return {
    segments,
    keyFor,
    forIds<Id extends string>(ids: Iterable<Id>) {
      const byKey = new Map<string, Id[]>()
      for (const id of ids) {
        const key = keyFor(id)
        const those = byKey.get(key)
        if (those) those.push(id)
        else byKey.set(key, [id])
      }
      return new Map([...byKey].sort(([a], [b]) => (a < b ? -1 : 1)))
    },
  }
}
