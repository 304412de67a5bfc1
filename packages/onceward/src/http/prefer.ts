import type { HeaderPairs } from './types.ts'

/**
 * Reads `Prefer: wait=n` (RFC 7240 section 4.3), in ms; `undefined` when it is absent or not a number of seconds.
 * The first `wait` counts; other preferences are ignored.
 */
export function readPreferWait(headers: HeaderPairs): number | undefined {
  for (const [name, value] of headers) {
    if (name.toLowerCase() !== 'prefer') continue
    for (const preference of value.split(',')) {
      const [token = '', ...rest] = (preference.split(';', 1)[0] ?? '').split('=')
      if (token.trim().toLowerCase() !== 'wait') continue
      const seconds = unquoted(rest.join('=').trim())
      return isDigits(seconds) ? Number(seconds) * 1000 : undefined
    }
  }
  return undefined
}

/** Nine digits are thirty years: more is nonsense, not patience. */
const MAX_DIGITS = 9

function isDigits(text: string): boolean {
  return text.length > 0 && text.length <= MAX_DIGITS && [...text].every((char) => char >= '0' && char <= '9')
}

function unquoted(text: string): string {
  return text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
}
