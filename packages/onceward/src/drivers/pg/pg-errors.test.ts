import { expect, it } from 'vitest'
import { isOncewardError, OncewardError } from '../../core/errors.ts'
import { isConflict, isRefusal, pgFailure } from './pg-errors.ts'

const serverError = (code: string, message = 'said the server') => Object.assign(new Error(message), { code })

it('says what an error of the server means, with the mend', () => {
  const cases = [
    ['28P01', 'STORE_UNAVAILABLE', /check the user, its password/],
    ['3D000', 'STORE_UNAVAILABLE', /no such database/],
    ['42P01', 'SCHEMA_MISSING', /onceward migrate --store URL/],
    ['42883', 'SCHEMA_MISSING', /onceward migrate --store URL/],
    ['42501', 'STORE_UNAVAILABLE', /lacks a permission/],
    ['25006', 'STORE_READ_ONLY', /connect to the primary/],
    ['53100', 'STORE_FULL', /free space/],
    ['53300', 'STORE_UNAVAILABLE', /smaller pool/],
    ['55P03', 'STORE_UNAVAILABLE', /commit transactions sooner/],
    ['57014', 'STORE_UNAVAILABLE', /statement_timeout/],
    ['57P01', 'STORE_UNAVAILABLE', /shutting down/],
    ['57P03', 'STORE_UNAVAILABLE', /starting up/],
    ['40P01', 'STORE_UNAVAILABLE', /run this one again/],
    ['25P02', 'STORE_UNAVAILABLE', /roll back/],
    ['22021', 'STORE_UNAVAILABLE', /UTF8/],
    ['23502', 'STORE_CORRUPT', /something else has changed them/],
    ['XX001', 'STORE_CORRUPT', /restore it/],
    ['22012', 'STORE_UNAVAILABLE', /refused a statement/],
  ] as const
  for (const [state, code, mend] of cases) {
    const cause = serverError(state)
    const error = pgFailure(cause, 'PostgreSQL shop at db:5432')
    if (!isOncewardError(error, code)) throw new Error(`${state} is ${String(error)}`)
    expect(error.effect).toBe('none')
    expect(error.cause).toBe(cause)
    expect(error.message).toMatch(mend)
    expect(error.message).toContain('PostgreSQL shop at db:5432')
    expect(error.message).toContain(state)
  }
})

it('takes everything else for a broken connection, and shows no password', () => {
  const error = pgFailure(
    new Error('cannot reach postgres://app:hunter2@db/shop'),
    'PostgreSQL shop at db:5432',
  )
  expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', effect: 'none', retryAfterMs: 1000 })
  expect(String(error)).not.toContain('hunter2')
  expect(pgFailure(Object.assign(new Error('gone'), { code: 'EPIPE' }), 'x')).toMatchObject({
    message: expect.stringMatching(/cannot be reached/),
  })
})

it('leaves errors of ours and misuse as they are', () => {
  for (const error of [new OncewardError('CLOSED'), new TypeError('misuse')]) {
    expect(pgFailure(error, 'x')).toBe(error)
  }
})

it('knows a conflict through the wrappers of ORMs, and a refusal from a broken connection', () => {
  expect(isConflict(serverError('40001'))).toBe(true)
  expect(isConflict(new Error('the query failed', { cause: serverError('40P01') }))).toBe(true)
  expect(isConflict(serverError('23505'))).toBe(false)
  expect(isRefusal(serverError('23505'))).toBe(true)
  for (const state of ['08006', '57P01']) expect(isRefusal(serverError(state))).toBe(false)
  expect(isRefusal(new Error('Connection terminated unexpectedly'))).toBe(false)
})
