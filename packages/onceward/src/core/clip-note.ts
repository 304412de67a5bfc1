import { MAX_NOTE_CHARS } from './operation.ts'

/** Cuts text that is stored for people to the {@link MAX_NOTE_CHARS} characters a note may have; a cut shows as `…`. */
export function clipNote(text: string): string {
  if (text.length <= MAX_NOTE_CHARS) return text
  // Half of a surrogate pair is no text: some stores refuse it.
  return `${text.slice(0, MAX_NOTE_CHARS - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}
