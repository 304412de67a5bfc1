import { describe, expect, it } from 'vitest'
import { OncewardError } from '../../core/errors.ts'
import { conflictOf, errnoOf, sqlStateOf } from './conflict.ts'

const withCode = (fields: object) => Object.assign(new Error('the server says no'), fields)

describe('conflictOf', () => {
  const told = [
    ['a deadlock of PostgreSQL', withCode({ code: '40P01' }), 'deadlock'],
    ['a serialization failure of PostgreSQL', withCode({ code: '40001' }), 'serialization'],
    ['a lock timeout of PostgreSQL', withCode({ code: '55P03' }), 'lock-timeout'],
    [
      'a deadlock of MySQL',
      withCode({ code: 'ER_LOCK_DEADLOCK', errno: 1213, sqlState: '40001' }),
      'deadlock',
    ],
    ['a lock timeout of MySQL', withCode({ errno: 1205, sqlState: 'HY000' }), 'lock-timeout'],
    ['an old snapshot of MariaDB', withCode({ errno: 1020, sqlState: 'HY000' }), 'serialization'],
    ['what Prisma makes of it', withCode({ code: 'P2034' }), 'serialization'],
    [
      'what Prisma makes of a raw query',
      withCode({ code: 'P2010', meta: { driverAdapterError: { cause: { originalCode: '40P01' } } } }),
      'deadlock',
    ],
  ] as const

  it.each(told)('tells %s', (_, error, conflict) => {
    expect(conflictOf(error)).toBe(conflict)
    for (const wrapper of ['cause', 'original', 'parent', 'driverError', 'previous']) {
      expect(conflictOf(withCode({ [wrapper]: withCode({ [wrapper]: error }) })), wrapper).toBe(conflict)
    }
  })

  it.each([
    ['a unique violation', withCode({ code: '23505' })],
    ['a broken connection', withCode({ code: 'ECONNRESET', errno: -104 })],
    ['an error of the work', new Error('sold out')],
    ['what is no error', 'deadlock'],
    ['nothing', undefined],
  ])('tells %s from a conflict', (_, error) => {
    expect(conflictOf(error)).toBeUndefined()
  })

  it('looks into an error of ours only where it had no effect', () => {
    const cause = withCode({ code: '40P01' })
    expect(conflictOf(new OncewardError('STORE_UNAVAILABLE', 'x', { cause, effect: 'none' }))).toBe(
      'deadlock',
    )
    expect(
      conflictOf(new OncewardError('OUTCOME_NOT_STORED', 'x', { cause, effect: 'unknown' })),
    ).toBeUndefined()
  })

  it('ends with errors that are their own cause', () => {
    const error = withCode({})
    Object.assign(error, { cause: error, original: error, parent: error })
    expect(conflictOf(error)).toBeUndefined()
  })
})

describe('the codes of servers', () => {
  it('are found below wrappers, and are not mixed up with those of the network or of Prisma', () => {
    expect(sqlStateOf(withCode({ code: 'P2010', meta: { code: '25P02' } }))).toBe('25P02')
    expect(sqlStateOf(withCode({ code: 'EPIPE' }))).toBeUndefined()
    expect(errnoOf(withCode({ cause: withCode({ errno: 1305, sqlMessage: 'no savepoint' }) }))).toBe(1305)
    expect(errnoOf(withCode({ errno: -104 }))).toBeUndefined()
  })
})
