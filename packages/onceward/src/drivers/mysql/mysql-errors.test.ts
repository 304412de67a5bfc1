import { describe, expect, it } from 'vitest'
import { isOncewardError } from '../../core/errors.ts'
import { isConflict, isRefusal, isTransient, mysqlErrno, mysqlFailure } from './mysql-errors.ts'

/** An error as mysql2 makes it of the answer of a server. */
const refused = (errno: number, message = 'no') =>
  Object.assign(new Error(message), { errno, code: 'ER_X', sqlState: 'HY000', sqlMessage: message })

describe('what errors of MySQL mean', () => {
  it.each([
    [1045, 'STORE_UNAVAILABLE', /its password/],
    [1044, 'STORE_UNAVAILABLE', /grant it/],
    [1142, 'STORE_UNAVAILABLE', /grant it/],
    [1049, 'STORE_UNAVAILABLE', /create it/],
    [1146, 'SCHEMA_MISSING', /onceward migrate/],
    [1054, 'SCHEMA_MISSING', /onceward migrate/],
    [1290, 'STORE_READ_ONLY', /primary/],
    [1792, 'STORE_READ_ONLY', /primary/],
    [1836, 'STORE_READ_ONLY', /primary/],
    [1114, 'STORE_FULL', /purge/],
    [1021, 'STORE_FULL', /purge/],
    [1153, 'STORE_FULL', /max_allowed_packet/],
    [1040, 'STORE_UNAVAILABLE', /smaller pool/],
    [1053, 'STORE_UNAVAILABLE', /when it is up/],
    [1205, 'STORE_UNAVAILABLE', /lockTimeoutMs/],
    [1213, 'STORE_UNAVAILABLE', /try again/],
    [1317, 'STORE_UNAVAILABLE', /cut off/],
    [1665, 'STORE_UNAVAILABLE', /binlog_format/],
    [1064, 'STORE_UNAVAILABLE', /MySQL 8\.0 or MariaDB 10\.6/],
    [1366, 'STORE_CORRUPT', /something else has changed/],
    [4242, 'STORE_UNAVAILABLE', /refused a statement/],
  ] as const)('error %i is %s with its mend, and effect none', (errno, code, mend) => {
    const error = mysqlFailure(refused(errno), 'the MySQL database shop')
    expect(isOncewardError(error, code) && error.effect).toBe('none')
    expect(String(error)).toMatch(mend)
    expect(String(error)).toMatch(/the MySQL database shop/)
  })

  it('a connection that breaks is no answer of the server', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), {
      errno: -104,
      code: 'ECONNRESET',
      fatal: true,
    })
    expect(mysqlErrno(reset)).toBeUndefined()
    expect(isRefusal(reset)).toBe(false)
    expect(isRefusal(refused(1213))).toBe(true)
    expect(isRefusal(refused(1927, 'Connection was killed'))).toBe(false)
    expect(isRefusal(Object.assign(refused(1213), { fatal: true }))).toBe(false)
    const error = mysqlFailure(reset, 'the MySQL database shop')
    expect(isOncewardError(error, 'STORE_UNAVAILABLE') && error.retryAfterMs).toBe(1000)
  })

  it('deadlocks and conflicts are seen through what has wrapped them', () => {
    const wrapped = new Error('query failed', {
      cause: Object.assign(new Error('orm'), { original: refused(1213) }),
    })
    expect(isConflict(wrapped)).toBe(true)
    expect(isTransient(wrapped)).toBe(true)
    expect(isConflict(refused(1205))).toBe(false)
    expect(isTransient(refused(1205))).toBe(true)
    expect(isTransient(refused(1146))).toBe(false)
    const round: { cause?: unknown } = {}
    round.cause = round
    expect(isConflict(round)).toBe(false)
  })

  it('passwords in messages are taken out, and misuse stays what it is', () => {
    const leaked = mysqlFailure(new Error('cannot open mysql://app:hunter2@db/shop'), 'the database')
    expect(String(leaked)).not.toContain('hunter2')
    const misuse = new TypeError('no')
    expect(mysqlFailure(misuse, 'the database')).toBe(misuse)
  })
})
