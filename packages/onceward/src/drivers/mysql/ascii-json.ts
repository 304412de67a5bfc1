/**
 * Writes JSON in ASCII, so that it means the same whatever character set a connection, a column or a driver has. All
 * that a statement is told goes as one such text, next to the bytes.
 */
export function asciiJson(value: unknown): string {
  const json = JSON.stringify(value)
  return NOT_ASCII.test(json) ? json.replace(EACH_NOT_ASCII, escaped) : json
}

/** Rewrites JSON in ASCII. */
export function toAsciiJson(json: string): string {
  return NOT_ASCII.test(json) ? json.replace(EACH_NOT_ASCII, escaped) : json
}

/** Text as the bytes of its UTF-8, for a parameter that a statement converts. */
export function utf8(text: string): Uint8Array {
  return Buffer.from(text, 'utf8')
}

const NOT_ASCII = /[\u007f-\uffff]/
const EACH_NOT_ASCII = /[\u007f-\uffff]/g

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
