import type { SqlValue } from '../sql/sql-session.ts'

/** Text that nobody escapes. */
const PLAIN = /^[\w.:/ -]*$/

/**
 * A statement for what writes values into the text, as `query` of mysql2 does: it escapes with backslashes, which means
 * something else under the mode NO_BACKSLASH_ESCAPES. Text that could have to be escaped goes as hexadecimal bytes, which
 * mean the same everywhere.
 */
export function inlineSafe(text: string, values: readonly SqlValue[]): readonly [string, readonly unknown[]] {
  const parts = text.split('?')
  if (parts.length !== values.length + 1)
    throw new TypeError('a statement has as many values as placeholders')
  let safe = parts[0] ?? ''
  const sent = values.map((value, at) => {
    const hex = typeof value === 'string' && !PLAIN.test(value)
    safe += `${hex ? 'CONVERT(? USING utf8mb4)' : '?'}${parts[at + 1]}`
    if (hex) return Buffer.from(value, 'utf8')
    if (typeof value === 'bigint') return String(value)
    return value instanceof Uint8Array ? Buffer.from(value) : value
  })
  return [safe, sent]
}
