import { isOncewardError } from '../../core/errors.ts'

/** What transactions can do to each other. */
export type Conflict =
  /** The server has picked this transaction to be undone: it can be run again. */
  | 'deadlock'
  /** Another transaction has changed what this one has seen: it can be run again, as a whole. */
  | 'serialization'
  /** Another transaction has held a lock for longer than this one was allowed to wait. */
  | 'lock-timeout'

/** SQLSTATEs of PostgreSQL, numbers of MySQL and MariaDB, and the codes of what hides them. */
const CONFLICTS: Readonly<Record<string, Conflict>> = {
  '40P01': 'deadlock',
  '1213': 'deadlock',
  '40001': 'serialization',
  // MariaDB with innodb_snapshot_isolation: the record has changed since it was read.
  '1020': 'serialization',
  P2034: 'serialization',
  '55P03': 'lock-timeout',
  '1205': 'lock-timeout',
}

/** Where drivers, query builders and ORMs keep the error that they have wrapped. */
const WRAPPED = [
  'cause',
  'original',
  'parent',
  'driverError',
  'previous',
  'meta',
  'driverAdapterError',
] as const

const CODES = ['code', 'errno', 'sqlState', 'originalCode'] as const

/** No error is wrapped more often by anything known. */
const MAX_DEPTH = 8

/**
 * Tells a deadlock, a serialization failure or a lock timeout of PostgreSQL, MySQL or MariaDB from other errors, however
 * often it was wrapped. What an {@link isOncewardError} with an effect tells of is no conflict: it must not be run again.
 */
export function conflictOf(error: unknown): Conflict | undefined {
  return search(error, (layer) => {
    for (const name of CODES) {
      const code = layer[name]
      if ((typeof code === 'string' || typeof code === 'number') && Object.hasOwn(CONFLICTS, code)) {
        return CONFLICTS[code]
      }
    }
    return undefined
  })
}

/** The SQLSTATE that PostgreSQL has given to an error, however often it was wrapped. */
export function sqlStateOf(error: unknown): string | undefined {
  return search(error, (layer) => {
    const code = [layer['code'], layer['originalCode']].find(
      (one) =>
        typeof one === 'string' && /^[0-9A-Z]{5}$/.test(one) && /\d/.test(one) && !/^P\d{4}$/.test(one),
    )
    return code as string | undefined
  })
}

/** The number that MySQL or MariaDB has given to an error, however often it was wrapped. */
export function errnoOf(error: unknown): number | undefined {
  return search(error, (layer) => {
    const { errno, sqlMessage } = layer
    // Failures of the network have an errno too, which is negative.
    return typeof errno === 'number' && errno > 0 && sqlMessage !== undefined ? errno : undefined
  })
}

function search<Found>(
  error: unknown,
  find: (layer: Readonly<Record<string, unknown>>) => Found | undefined,
  depth = 0,
): Found | undefined {
  if (typeof error !== 'object' || error === null || depth > MAX_DEPTH) return undefined
  if (isOncewardError(error) && error.effect !== 'none') return undefined
  const layer = error as Readonly<Record<string, unknown>>
  try {
    const found = find(layer)
    if (found !== undefined) return found
    for (const name of WRAPPED) {
      const deeper = search(layer[name], find, depth + 1)
      if (deeper !== undefined) return deeper
    }
  } catch {
    // Anything can be thrown, even an object that cannot be looked at.
  }
  return undefined
}
