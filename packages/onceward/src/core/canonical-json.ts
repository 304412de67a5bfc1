import { canonicalText } from './canonical-text.ts'

/**
 * Writes JSON data in the canonical form of RFC 8785 (JCS): no spaces, fields in the order of their UTF-16 code units,
 * numbers as ECMAScript writes them (`-0` as `0`).
 *
 * Fields that are `undefined` are left out, as `JSON.stringify` does. Everything else that JSON has no form for is
 * refused, where `JSON.stringify` would change it: NaN and infinities, `undefined` in a list or alone, holes, BigInt,
 * dates, maps, instances of classes (their `toJSON` is not asked), functions, symbols, half surrogate pairs.
 *
 * @throws `TypeError` naming the path of what is refused, of a cycle, or for nesting beyond 1,000 levels.
 * @example
 * canonicalJson({ b: 1, a: [1e21, 'é'] }) // '{"a":[1e+21,"é"],"b":1}'
 */
export function canonicalJson(value: unknown): string {
  return canonicalText(value, 'value', 'json')
}
