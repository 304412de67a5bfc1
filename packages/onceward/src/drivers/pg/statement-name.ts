import { createHash } from 'node:crypto'

/** A name for a statement that no other text has: behind a pooler, programs of several versions share connections. */
export function statementName(word: string, text: string): string {
  return `onceward_${word}_${createHash('sha256').update(text).digest('hex').slice(0, 12)}`
}
