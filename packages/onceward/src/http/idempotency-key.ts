import type { HeaderPairs } from './types.ts'

/** The longest key, in bytes. Keys are ASCII, so bytes are characters. */
export const MAX_HTTP_KEY_BYTES = 255

/** What the `Idempotency-Key` fields of a request say. */
export type KeyReading =
  | { readonly kind: 'absent' }
  /** `key` is the text without quotes and escapes; `echo` is what stood in the field. */
  | { readonly kind: 'key'; readonly key: string; readonly echo: string }
  | { readonly kind: 'invalid'; readonly why: string }

/**
 * Reads the key: a string of structured fields (RFC 9651 section 3.3.3) without parameters, or the same text bare.
 *
 * `"a"` and `a` are one key. Refused are: repeated fields (also when an intermediary has joined them with a comma),
 * an empty key, more than 255 bytes, and everything but printable ASCII.
 */
export function readIdempotencyKey(headers: HeaderPairs): KeyReading {
  const values = headers
    .filter(([name]) => name.toLowerCase() === 'idempotency-key')
    .map(([, value]) => value)
  const [first, second] = values
  if (first === undefined) return { kind: 'absent' }
  if (second !== undefined) return invalid('the field is repeated; send one key')
  const echo = trimSpaces(first)
  const key = echo.startsWith('"') ? unquote(echo) : bare(echo)
  if (typeof key !== 'string') return key
  if (key === '') return invalid('the key is empty')
  if (key.length > MAX_HTTP_KEY_BYTES) {
    return invalid(`the key has ${key.length} bytes; at most ${MAX_HTTP_KEY_BYTES} are taken`)
  }
  return { kind: 'key', key, echo }
}

function unquote(text: string): string | KeyReading {
  let key = ''
  for (let at = 1; at < text.length; at++) {
    const char = text[at] as string
    if (char === '"') {
      return at === text.length - 1
        ? key
        : invalid('something follows the closing quote; send one quoted text')
    }
    if (!isPrintable(char)) return notPrintable()
    if (char !== '\\') {
      key += char
      continue
    }
    const escaped = text[++at]
    if (escaped !== '"' && escaped !== '\\')
      return invalid('a backslash may stand only before a quote or a backslash')
    key += escaped
  }
  return invalid('the closing quote is missing')
}

function bare(text: string): string | KeyReading {
  for (const char of text) {
    if (!isPrintable(char)) return notPrintable()
    // Two fields that a proxy has joined look like one with a comma: taking it for a key would hide the repetition.
    if (char === ',') return invalid('a comma may stand only in a quoted key')
    if (char === '"') return invalid('a quote may stand only around the key')
  }
  return text
}

function isPrintable(char: string): boolean {
  return char >= ' ' && char <= '~'
}

function trimSpaces(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && text[start] === ' ') start++
  while (end > start && text[end - 1] === ' ') end--
  return text.slice(start, end)
}

function invalid(why: string): KeyReading {
  return { kind: 'invalid', why }
}

function notPrintable(): KeyReading {
  return invalid('only printable ASCII characters are taken')
}
