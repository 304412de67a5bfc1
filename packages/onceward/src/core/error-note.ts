import { clipNote } from './clip-note.ts'

/** What was thrown, in a note for people: name and message of an error, and text of anything else. Never throws itself. */
export function errorNote(error: unknown): string {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return clipNote(text.toWellFormed())
  } catch {
    return 'something that cannot be written as text was thrown'
  }
}
