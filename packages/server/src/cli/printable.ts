/**
 * Makes text safe to print: control characters, line ends, direction overrides and other invisible characters become
 * `\u{…}`, so that a key chosen by a stranger cannot move the cursor, hide itself or pretend to be another line.
 */
export function printable(text: string): string {
  return text.replace(HARMFUL, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/** Cuts text to `most` characters for a table; what is printed elsewhere is never cut. */
export function clipped(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}

// Cc: control, Cf: format (direction overrides, zero width), Zl/Zp: line and paragraph separators, Cs: lone surrogates.
const HARMFUL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu
