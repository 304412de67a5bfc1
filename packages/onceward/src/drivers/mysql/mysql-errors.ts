import { type ErrorCode, isOncewardError, type OncewardError } from '../../core/errors.ts'
import { failure } from '../../core/failure.ts'

export { failure }

/** Where wrappers (query builders, ORMs) keep the error of the driver. */
const WRAPPED = ['cause', 'original', 'driverError', 'parent', 'meta'] as const

/** How many wrappers are looked through. */
const MAX_DEPTH = 6

/** Errors of the server (MySQL manual, B.3; MariaDB error codes) that are told apart. */
const CODES = {
  lostRace: 1062,
  lockTimeout: 1205,
  deadlock: 1213,
  noSavepoint: 1305,
  noStatement: 1064,
} as const

/** A statement was cut short: by somebody, or by a limit of the server (MariaDB's and MySQL's). */
const INTERRUPTIONS: ReadonlySet<number> = new Set([1317, 1969, 3024])

/** Codes after which the server has undone the whole transaction, and running it again may go better. */
const CONFLICTS: ReadonlySet<number> = new Set([
  CODES.deadlock,
  // MariaDB: the record has changed since the snapshot (innodb_snapshot_isolation).
  1020,
  // A conflict in a replication group, found at COMMIT.
  3101,
])

/** A statement that was prepared for tables as they were before; preparing it again mends it. */
const STALE_STATEMENT = 1615

/** Reads the number of the server's error, also of one that an ORM has wrapped. Nothing for what the server did not send. */
export function mysqlErrno(error: unknown): number | undefined {
  return search(error, MAX_DEPTH)
}

function search(error: unknown, depth: number): number | undefined {
  if (typeof error !== 'object' || error === null || depth === 0) return undefined
  try {
    const { errno, sqlState, code } = error as { errno?: unknown; sqlState?: unknown; code?: unknown }
    // Errors of sockets have an `errno` too, which is negative.
    if (typeof errno === 'number' && errno >= 1000 && (sqlState !== undefined || code !== undefined))
      return errno
    for (const name of WRAPPED) {
      const found = search((error as Record<string, unknown>)[name], depth - 1)
      if (found !== undefined) return found
    }
  } catch {
    // Anything can be thrown, even an object that cannot be looked at.
  }
  return undefined
}

/** Whether the whole transaction was undone and may be run again at once: a deadlock, or a conflict at COMMIT. */
export function isConflict(error: unknown): boolean {
  const errno = mysqlErrno(error)
  return errno !== undefined && CONFLICTS.has(errno)
}

/** Whether a statement of the store's own may go better when it is tried again. */
export function isTransient(error: unknown): boolean {
  const errno = mysqlErrno(error)
  if (errno === undefined) return false
  return (
    CONFLICTS.has(errno) ||
    errno === CODES.lockTimeout ||
    errno === CODES.lostRace ||
    errno === STALE_STATEMENT
  )
}

/** Whether a savepoint is not there: no transaction is open, or the server has undone it. */
export function isSavepointMissing(error: unknown): boolean {
  return mysqlErrno(error) === CODES.noSavepoint
}

/** Whether the server does not know such a statement. Nothing of it was run. */
export function isNoStatement(error: unknown): boolean {
  return mysqlErrno(error) === CODES.noStatement
}

/** Whether a statement was cut short: what it consists of may have been done in part. */
export function isInterruption(error: unknown): boolean {
  const errno = mysqlErrno(error)
  return errno !== undefined && INTERRUPTIONS.has(errno)
}

/**
 * Whether a statement was not even sent, since its connection had been lost before. The package tells it by these words only;
 * where they change, the statement counts as sent, and what became of it is found out.
 */
export function isUnsent(error: unknown): boolean {
  return (
    error instanceof Error && /^Can't add new command when connection is in closed state/.test(error.message)
  )
}

/** Whether the server has answered, so that what it refused is known not to be done, and the connection may go on. */
export function isRefusal(error: unknown): boolean {
  const errno = mysqlErrno(error)
  if (errno === undefined || ENDINGS.has(errno)) return false
  return !(error as { readonly fatal?: unknown }).fatal
}

/** The connection ends with these: shut down, killed, closed for being idle. */
const ENDINGS: ReadonlySet<number> = new Set([1053, 1077, 1078, 1079, 1080, 1152, 1153, 1927, 3169, 4031])

/** What a failed call of the server means, with the mend. Errors of ours are answered as they are. */
export function mysqlFailure(error: unknown, where: string): unknown {
  if (isOncewardError(error) || error instanceof TypeError || error instanceof RangeError) return error
  const text = withoutSecrets(error instanceof Error ? error.message : String(error))
  const errno = mysqlErrno(error)
  if (errno === undefined) {
    return failure(
      'STORE_UNAVAILABLE',
      `${where} cannot be reached (${text}); check that it runs, and the host, the port and the TLS settings`,
      error,
    )
  }
  const [code, mend] = meaning(errno, text)
  return failure(code, `${where}: ${mend} (error ${errno}: ${text})`, error)
}

function meaning(errno: number, text: string): readonly [ErrorCode, string] {
  switch (errno) {
    case 1045:
    case 1698:
    case 1251:
    case 1862:
    case 3118:
      return ['STORE_UNAVAILABLE', 'the server refuses this user; check the user, its host and its password']
    case 1044:
    case 1142:
    case 1143:
    case 1227:
    case 1410:
      return [
        'STORE_UNAVAILABLE',
        'this user lacks a permission; grant it SELECT, INSERT, UPDATE and DELETE on the tables onceward_…, ' +
          'and CREATE where it migrates',
      ]
    case 1049:
      return ['STORE_UNAVAILABLE', 'there is no such database; create it, or check its name in the URL']
    case 1046:
      return ['STORE_UNAVAILABLE', 'the pool names no database; give it one in its URL or as `database`']
    case 1146:
    case 1054:
      return ['SCHEMA_MISSING', MIGRATE]
    case 1290:
    case 1792:
    case 1836:
    case 1874:
    case 3100:
      return ['STORE_READ_ONLY', 'it is read-only; connect to the primary, and see that read_only is off']
    case 1114:
    case 1021:
    case 1037:
    case 1041:
    case 3675:
      return ['STORE_FULL', 'the server has no room left; free disk space, or purge']
    case 1118:
    case 1153:
    case 1162:
    case 1197:
    case 1301:
      return [
        'STORE_FULL',
        'a value is larger than the server takes; make it smaller, or raise max_allowed_packet',
      ]
    case 1040:
    case 1203:
    case 1226:
      return [
        'STORE_UNAVAILABLE',
        'the server takes no more connections; use a smaller pool, or raise max_connections',
      ]
    case 1461:
      return [
        'STORE_UNAVAILABLE',
        'the server has no room for prepared statements; raise max_prepared_stmt_count',
      ]
    case 1053:
    case 1077:
    case 1078:
    case 1079:
    case 1080:
    case 1047:
    case 3168:
    case 3169:
      return ['STORE_UNAVAILABLE', 'the server is shutting down or not ready; try again when it is up']
    case 1927:
    case 1152:
    case 4031:
      return ['STORE_UNAVAILABLE', 'the server has closed the connection; try again']
    case 1205:
      return [
        'STORE_UNAVAILABLE',
        'another transaction kept a record locked for too long; commit transactions sooner, or raise lockTimeoutMs',
      ]
    case 1213:
    case 1020:
    case 3101:
    case 1062:
    case 1615:
      return ['STORE_UNAVAILABLE', 'concurrent transactions were in conflict; try again']
    case 1317:
    case 3024:
    case 1969:
    case 1028:
      return [
        'STORE_UNAVAILABLE',
        'the statement was cut off; look at what holds it up, or raise max_statement_time',
      ]
    case 1665:
      return [
        'STORE_UNAVAILABLE',
        'its binary log is by statement, which cannot repeat what the store does; set binlog_format to ROW or MIXED',
      ]
    case 1064:
    case 1235:
    case 1305:
    case 1193:
      return [
        'STORE_UNAVAILABLE',
        'it does not know a statement; MySQL 8.0 or MariaDB 10.6, or later, is needed',
      ]
    case 1034:
    case 1194:
    case 1195:
    case 1712:
      return ['STORE_CORRUPT', 'its tables are damaged; restore them from a backup']
    case 1048:
    case 1264:
    case 1265:
    case 1364:
    case 1366:
    case 1406:
    case 3819:
    case 4025:
      return [
        'STORE_CORRUPT',
        'its tables are not as this program made them; something else has changed them',
      ]
    default:
      return [
        'STORE_UNAVAILABLE',
        `the server refused a statement${/disk|space/i.test(text) ? '; see its disk' : ''}`,
      ]
  }
}

const MIGRATE =
  'there is no up-to-date schema; run `onceward migrate --store URL`, or `await store.migrate()` once (locks: `await backend.migrate()`; tasks, an inbox and an outbox have a `migrate()` too)'

/** The answer for a database without the tables. */
export function schemaMissing(where: string): OncewardError {
  return failure('SCHEMA_MISSING', `${where}: ${MIGRATE}`)
}

/** Messages of drivers are not known to hold any, and a URL in one would. */
function withoutSecrets(text: string): string {
  return text.replace(/:\/\/[^\s/@]*@/g, '://…@')
}
