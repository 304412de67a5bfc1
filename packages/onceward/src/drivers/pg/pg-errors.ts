import { type ErrorCode, isOncewardError, type OncewardError } from '../../core/errors.ts'
import { failure } from '../../core/failure.ts'
import { conflictOf, sqlStateOf } from '../sql/index.ts'

export { failure }

/** Whether the whole transaction may be run again at once: a deadlock, or a conflict with a concurrent transaction. */
export function isConflict(error: unknown): boolean {
  const conflict = conflictOf(error)
  return conflict === 'deadlock' || conflict === 'serialization'
}

/** Whether a lock was not to be had in time. */
export function isLockTimeout(error: unknown): boolean {
  return sqlStateOf(error) === '55P03'
}

/** Whether a pooler has sent the statement to a connection that does not know it by its name (or knows it already). */
export function isUnknownStatement(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === '26000' || state === '42P05'
}

/** Whether the tables are not there. */
export function isSchemaMissing(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state === '42P01' || state === '3F000' || state === '42703' || state === '42883'
}

/** Whether the server has answered: what it refused, it has not done. Otherwise the connection broke on the way. */
export function isRefusal(error: unknown): boolean {
  const state = sqlStateOf(error)
  // Class 08 is the connection's, 57P0x its end: neither tells what became of the statement.
  return state !== undefined && !state.startsWith('08') && !state.startsWith('57P')
}

/** What a failed call of PostgreSQL means, with the mend. Errors of ours are answered as they are. */
export function pgFailure(error: unknown, where: string): unknown {
  if (isOncewardError(error) || error instanceof TypeError) return error
  const text = error instanceof Error ? withoutPassword(error.message) : String(error)
  const state = sqlStateOf(error)
  if (state === undefined) return unreachable(error, where, text)
  const [code, mend] = meaning(state, text)
  const message = `${where}: ${mend}`
  return failure(code, `${message} (SQLSTATE ${state}: ${text})`, error)
}

function meaning(state: string, text: string): readonly [ErrorCode, string] {
  switch (state) {
    case '28P01':
    case '28000':
      return [
        'STORE_UNAVAILABLE',
        'the server refuses this user; check the user, its password and pg_hba.conf',
      ]
    case '3D000':
      return ['STORE_UNAVAILABLE', 'there is no such database; create it, or check the name in the URL']
    case '42P01':
    case '3F000':
    case '42703':
    case '42883':
      return ['SCHEMA_MISSING', MIGRATE]
    case '42501':
      return /read-only|read only/i.test(text)
        ? ['STORE_READ_ONLY', READ_ONLY]
        : [
            'STORE_UNAVAILABLE',
            'this user lacks a permission; grant it SELECT, INSERT, UPDATE and DELETE on the tables onceward_… ' +
              'and USAGE on their schema',
          ]
    case '25006':
      return ['STORE_READ_ONLY', READ_ONLY]
    case '53100':
      return ['STORE_FULL', 'the disk of the server is full; free space, or purge']
    case '54000':
    case '54001':
    case '53200':
      return ['STORE_FULL', 'a limit of the server was reached; make values smaller, or give it more memory']
    case '53300':
      return ['STORE_UNAVAILABLE', 'the server takes no more connections; use a smaller pool, or a pooler']
    case '55P03':
      return [
        'STORE_UNAVAILABLE',
        'another transaction kept a record locked for too long; commit transactions sooner, or raise lockTimeoutMs',
      ]
    case '57014':
      return [
        'STORE_UNAVAILABLE',
        'the statement was cancelled; raise statement_timeout, or look at what holds it up',
      ]
    case '57P01':
    case '57P02':
    case '57P03':
      return ['STORE_UNAVAILABLE', 'the server is shutting down or starting up; try again when it is up']
    case '40001':
    case '40P01':
      return ['STORE_UNAVAILABLE', 'concurrent transactions were in conflict; run this one again']
    case '25P02':
      return [
        'STORE_UNAVAILABLE',
        'an earlier statement of this transaction has failed; roll back, or use a savepoint around what may fail',
      ]
    case '22P05':
    case '22021':
      return [
        'STORE_UNAVAILABLE',
        "the database's encoding cannot hold this text; use a database with the encoding UTF8",
      ]
    case 'XX001':
    case 'XX002':
      return ['STORE_CORRUPT', 'the database is damaged; restore it from a backup']
    default:
      return state.startsWith('23') || state.startsWith('42')
        ? ['STORE_CORRUPT', 'the tables are not as this program made them; something else has changed them']
        : ['STORE_UNAVAILABLE', 'the server refused a statement']
  }
}

const MIGRATE =
  'there is no up-to-date schema; run `onceward migrate --store URL`, or `await store.migrate()` once (locks: `await backend.migrate()`; tasks, an inbox and an outbox have a `migrate()` too)'
const READ_ONLY = 'it is read-only; connect to the primary, and see that default_transaction_read_only is off'

/** The answer for a database without the tables. */
export function schemaMissing(where: string, cause?: unknown): OncewardError {
  return failure('SCHEMA_MISSING', `${where}: ${MIGRATE}`, cause)
}

function unreachable(error: unknown, where: string, text: string): OncewardError {
  return failure(
    'STORE_UNAVAILABLE',
    `${where} cannot be reached (${text}); check that it runs, and its host, port and TLS settings`,
    error,
  )
}

/** No driver is known to print one; an URL in a message must not be the first to. */
function withoutPassword(text: string): string {
  return text.replace(/(\/\/[^\s:/@]*:)[^\s@]*@/g, '$1***@')
}
