/**
 * Writes a key as the value of an `Idempotency-Key` field: bare, as most clients send it and most services read it, or as
 * a quoted string (RFC 9651 section 3.3.3) where the bare form would be read as another key: its spaces at the ends are
 * trimmed on the way, and its quotes, backslashes and commas mean something.
 */
export function keyField(key: string): string {
  return /^ | $|["\\,]/.test(key) ? `"${key.replace(/["\\]/g, '\\$&')}"` : key
}
