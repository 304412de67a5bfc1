import { hash } from 'node:crypto'
import { canonicalText, nameOf } from './canonical-text.ts'
import type { Clock } from './clock.ts'
import { MAX_KEY_BYTES } from './identity.ts'
import { systemClock } from './system.ts'
import { Branch, fold, type Place, readFields } from './value-fold.ts'
import { kindOf } from './value-kind.ts'
import { findVolatile, type VolatileField } from './volatile-fields.ts'

/** Text, or the fields a key is derived from. */
export type Key = string | readonly unknown[] | { readonly [field: string]: unknown }

/** Options of {@link deriveKey} and {@link inspectKey}. */
export interface KeyOptions {
  /** Paths of parts that look volatile and are meant to be in the key: `['createdAt', 'order.sentAt', '[1]']`. */
  readonly allowVolatile?: readonly string[]
  /** Is told of each part that looks volatile. Without it `deriveKey` does not look. */
  readonly onVolatile?: (field: VolatileField) => void
  /** What tells the time of this moment from other times. Default: the clock of this machine. */
  readonly clock?: Pick<Clock, 'now'>
}

/** What {@link inspectKey} finds. */
export interface KeyInspection {
  /** What `deriveKey` answers. */
  readonly key: string
  /** The text that was digested; absent for a key that was given as text. May hold personal data: not for logs. */
  readonly canonical?: string
  /** Parts that look as if a retry would not have them again. Empty for a key given as text. */
  readonly warnings: readonly VolatileField[]
}

/**
 * Turns what identifies an operation into its key. Text stays as it is; a list or an object becomes `k1_` and the
 * SHA-256 (base64url) of its RFC 8785 canonical JSON, the same for every order of fields and in every process.
 *
 * BigInt, Date and bytes may be parts too, each in a form of its own: `1n` is neither `1` nor `'1'`.
 *
 * Limit: it cannot know whether the parts tell two operations apart, only that none is missing.
 *
 * @throws `TypeError` naming the path of a part that is missing (`undefined`, `null`, NaN, an empty text, list or
 * object, the texts `undefined` and `[object Object]`), of a whole number that is too large to be exact, and of
 * instances of classes, maps, sets, functions and symbols; and for a key of yes-or-no parts alone, which everybody
 * would share.
 * @example
 * deriveKey(['charge', order.id]) === deriveKey(['charge', order.id]) // 'k1_…', on every retry
 */
export function deriveKey(key: Key, options: KeyOptions = {}): string {
  if (typeof key === 'string') return checkedText(key)
  const derived = digest(canonicalOf(key))
  if (options.onVolatile !== undefined) volatileParts(key, options).forEach(options.onVolatile)
  return derived
}

/** Derives a key like {@link deriveKey}, and tells what was digested and which parts look volatile. */
export function inspectKey(key: Key, options: KeyOptions = {}): KeyInspection {
  if (typeof key === 'string') return { key: checkedText(key), warnings: [] }
  const canonical = canonicalOf(key)
  return { key: digest(canonical), canonical, warnings: volatileParts(key, options) }
}

function volatileParts(key: object, options: KeyOptions): readonly VolatileField[] {
  return findVolatile(key, (options.clock ?? systemClock).now(), options.allowVolatile ?? [])
}

function digest(canonical: string): string {
  return `k1_${hash('sha256', canonical, 'base64url')}`
}

function checkedText(key: string): string {
  if (key === '') throw new TypeError('key is empty; give the text that identifies this operation')
  if (!key.isWellFormed()) throw new TypeError('key holds half of a surrogate pair; give well-formed text')
  // A text of n UTF-16 units has at most 3n bytes: most keys need no counting.
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new TypeError(
      `key has ${Buffer.byteLength(key)} bytes, the most is ${MAX_KEY_BYTES}; give it as a list ([text]) to have it digested`,
    )
  }
  return key
}

/** Checks the parts of a key and writes them down. */
function canonicalOf(key: unknown): string {
  if (typeof key !== 'object' || key === null) {
    throw new TypeError(
      `key is ${key === null ? 'null' : typeof key}; give text, a list or an object of the fields that identify it`,
    )
  }
  if (!fold<boolean>('key', key, checkPart)) {
    throw new TypeError(
      'key has only true and false in it, so everybody would share it; add what tells callers apart',
    )
  }
  return canonicalText(key, 'key', 'key')
}

const MEND = 'leave it out, or write in words what its absence means'

/** Refuses missing parts. The result is whether any part could tell two operations apart. */
function checkPart(part: unknown, place: Place): boolean | Branch<boolean> {
  switch (typeof part) {
    case 'boolean':
      return false
    case 'string':
      if (part.trim() === '') throw place.refuse(`is an empty text; ${MEND}`)
      if (part === 'undefined' || part === '[object Object]') {
        throw place.refuse(`is the text '${part}', which a missing value was turned into; ${MEND}`)
      }
      return true
    case 'number':
      if (!Number.isFinite(part)) throw place.refuse(`is ${part}; ${MEND}`)
      if (Number.isInteger(part) && !Number.isSafeInteger(part)) {
        throw place.refuse(
          'is too large to be exact, so two ids may look the same; give it as text or BigInt',
        )
      }
      return true
    case 'object':
      if (part === null) throw place.refuse(`is null; ${MEND}`)
      return checkContainer(part, place)
    case 'undefined':
      throw place.refuse(`is undefined; ${MEND}`)
    default:
      return true
  }
}

function checkContainer(container: object, place: Place): boolean | Branch<boolean> {
  const kind = kindOf(container)
  const isList = kind === 'array'
  if ((kind === 'date' || kind === 'bytes') && place.depth() > 0) return true
  if (!isList && kind !== 'object' && kind !== 'null-prototype') {
    throw place.refuse(`is ${nameOf(container)}; give its plain data`)
  }
  const names = Object.keys(container)
  if (names.length === 0) throw place.refuse(`is an empty ${isList ? 'list' : 'object'}; ${MEND}`)
  const someTell = (results: boolean[]) => results.includes(true)
  if (!isList) return new Branch(container, readFields(container, names, place), names, someTell)
  const items = container as unknown[]
  const hole = items.length > names.length ? items.findIndex((_, index) => !(index in items)) : -1
  if (hole !== -1) throw place.refuse(`is undefined; ${MEND}`, hole)
  return new Branch(container, items, undefined, someTell)
}
