import { MAX_DEPTH } from './value-fold.ts'

/**
 * Parses JSON nested at most `maxDepth` levels deep (default 1,000). The depth is counted before anything is built, so that a bomb of
 * brackets costs no memory.
 *
 * @throws `TypeError` for deeper nesting, `SyntaxError` for what is not JSON.
 */
export function parseBoundedJson(text: string, maxDepth: number = MAX_DEPTH): unknown {
  if (isDeeper(text, maxDepth)) throw new TypeError(`the JSON is nested deeper than ${maxDepth} levels`)
  return JSON.parse(text)
}

function isDeeper(text: string, most: number): boolean {
  // Each level takes at least its bracket: short texts need no look.
  if (text.length <= most) return false
  let depth = 0
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) {
      index = endOfString(text, index)
    } else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      depth += 1
      if (depth > most) return true
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) {
      depth -= 1
    }
  }
  return false
}

/** The index of the quote that ends the string which begins at `start`; the last index where none does. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1
    if (slashes % 2 === 0) return end
  }
  return text.length
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
