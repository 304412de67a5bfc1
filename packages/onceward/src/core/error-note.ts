import { clipNote } from './clip-note.ts'

const NO_ERROR = 'something that is not an Error was thrown'

/** What was thrown, in a note for people: name and message of an error, and text of anything else. Never throws itself. */
export function errorNote(error: unknown): string {
  const message = messageOf(error)
  return typeof error === 'object' && error !== null && message !== NO_ERROR
    ? namedNote({ name: nameOf(error), message })
    : message
}

/** Name and message of an error in a note. */
export function namedNote({ name, message }: { readonly name: string; readonly message: string }): string {
  return clipNote(message === '' ? name : `${name}: ${message}`)
}

/** The name of what was thrown; `Error` where it has none. Never throws itself. */
export function nameOf(error: unknown): string {
  return textOf(() => (error as Error).name, 'Error')
}

/** The message of what was thrown, or what it is. Never throws itself. */
export function messageOf(error: unknown): string {
  if (typeof error === 'object' && error !== null) return textOf(() => (error as Error).message, NO_ERROR)
  if (typeof error === 'function') return NO_ERROR
  if (typeof error === 'string' && error !== '') return storable(error)
  return `${storable(String(error)) || 'an empty text'} was thrown, which is not an Error`
}

/** A field of what was thrown, which may be anything, also an object whose fields throw. */
export function textOf(read: () => unknown, fallback: string): string {
  try {
    const text = read()
    return typeof text === 'string' || typeof text === 'number' ? storable(String(text)) : fallback
  } catch {
    return fallback
  }
}

/** As a note, without what databases refuse as text or nobody can read: NUL, and half of a surrogate pair. */
function storable(text: string): string {
  return clipNote(text).replaceAll('\0', '\ufffd').toWellFormed()
}
