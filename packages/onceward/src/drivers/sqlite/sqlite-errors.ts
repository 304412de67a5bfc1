import { isOncewardError, OncewardError } from '../../core/errors.ts'
import { failure } from '../../core/failure.ts'

export { failure }

/** Primary result codes of SQLite that are told apart (https://sqlite.org/rescode.html). */
const CODES: Readonly<Record<string, number>> = {
  ERROR: 1,
  PERM: 3,
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  PROTOCOL: 15,
  TOOBIG: 18,
  CONSTRAINT: 19,
  AUTH: 23,
  NOTADB: 26,
}

/** Reads the primary result code of an error of any of the drivers. */
export function sqliteCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { errcode, code } = error as { errcode?: unknown; code?: unknown }
  if (typeof errcode === 'number') return errcode & 0xff
  const name = typeof code === 'string' ? /^SQLITE_([A-Z]+)/.exec(code)?.[1] : undefined
  return name === undefined ? undefined : CODES[name]
}

/** Whether another connection holds a lock that it will give up by itself. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === CODES['BUSY'] || code === CODES['LOCKED'] || code === CODES['PROTOCOL']
}

/** An error that {@link isBusy} takes for one of SQLite's own, for what SQLite would refuse if it were asked. */
export function busyError(message: string): Error {
  return Object.assign(new Error(message), { errcode: CODES['BUSY'] })
}

/** What a failed call of SQLite means, with the mend. Errors that are not SQLite's are answered as they are. */
export function sqliteFailure(error: unknown, path: string): unknown {
  if (isOncewardError(error)) return error
  if (isClosedHandle(error)) {
    return failure('STORE_UNAVAILABLE', `the SQLite database ${path} was closed; open it again`, error)
  }
  const text = error instanceof Error ? error.message : String(error)
  if (isOutOfRange(error)) {
    const message = `a row in ${path} is not one of ours (${text}); restore it, or settle by hand what became of it`
    return new OncewardError('STORE_CORRUPT', message, { cause: error, effect: 'unknown' })
  }
  const code = sqliteCode(error)
  if (code === undefined) return error
  switch (code) {
    case CODES['BUSY']:
    case CODES['LOCKED']:
    case CODES['PROTOCOL']:
      return failure(
        'STORE_UNAVAILABLE',
        `the SQLite database ${path} is locked by another connection; try again, and begin transactions with BEGIN IMMEDIATE`,
        error,
      )
    case CODES['PERM']:
    case CODES['CANTOPEN']:
    case CODES['AUTH']:
      return failure(
        'STORE_UNAVAILABLE',
        `cannot open the SQLite database ${path}: ${text}; check that its folder exists and that this user may write there`,
        error,
      )
    case CODES['READONLY']:
      return failure(
        'STORE_READ_ONLY',
        `the SQLite database ${path} is read-only; give this user the right to write the file and its folder`,
        error,
      )
    case CODES['FULL']:
      return failure(
        'STORE_FULL',
        `no room left for the SQLite database ${path}; free disk space, raise max_page_count, or purge`,
        error,
      )
    case CODES['CORRUPT']:
    case CODES['NOTADB']:
      return failure(
        'STORE_CORRUPT',
        `${path} is damaged or is not a SQLite database (${text}); restore it from a backup, or name another file`,
        error,
      )
    case CODES['TOOBIG']:
      return failure('STORE_FULL', `the record is larger than the SQLite database ${path} accepts`, error)
    case CODES['CONSTRAINT']:
      return failure(
        'STORE_CORRUPT',
        `the tables of ${path} refuse a valid record (${text}); something else has changed them`,
        error,
      )
    default:
      return /no such (table|column): (main\.)?onceward_/.test(text)
        ? schemaMissing(path, error)
        : failure('STORE_UNAVAILABLE', `the SQLite database ${path} failed: ${text}`, error)
  }
}

/** The answer for a database without the tables. */
export function schemaMissing(path: string, cause?: unknown): OncewardError {
  return failure(
    'SCHEMA_MISSING',
    `the SQLite database ${path} has no up-to-date schema; run \`await store.migrate()\` once before using it (locks: \`await backend.migrate()\`; tasks, an inbox and an outbox have a \`migrate()\` too)`,
    cause,
  )
}

/** `DatabaseSync` refuses to read a whole number that JavaScript cannot hold; we never write one. */
function isOutOfRange(error: unknown): boolean {
  return error instanceof RangeError && (error as { code?: unknown }).code === 'ERR_OUT_OF_RANGE'
}

function isClosedHandle(error: unknown): boolean {
  return error instanceof Error && /not open|statement has been finalized/i.test(error.message)
}
