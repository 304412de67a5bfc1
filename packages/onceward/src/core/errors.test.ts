import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode, isOncewardError, OncewardError } from './errors.ts'
import { finalFailure, noEffect, verdictOn } from './verdict.ts'

const codes = Object.keys(ERRORS) as ErrorCode[]

describe('the table of codes', () => {
  it.each(codes)('says of %s what it means, by which status, and what of its effect', (code) => {
    const { status, summary, effect, retryable } = ERRORS[code]
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
    expect(summary).toMatch(/^[A-Z].*\.$/s)
    const error = new OncewardError(code)
    expect(error).toMatchObject({ name: 'OncewardError', code, status, effect, retryable, message: summary })
  })

  it('never calls retryable what may have happened', () => {
    const risky = codes.filter((code) => ERRORS[code].retryable && ERRORS[code].effect !== 'none')
    expect(risky).toEqual([])
  })
})

describe('OncewardError', () => {
  it('keeps its cause, and lets a case know more than the table', () => {
    const cause = new Error('socket')
    const error = new OncewardError('STORE_UNAVAILABLE', 'no reply', {
      cause,
      effect: 'unknown',
      retryAfterMs: 50,
    })
    expect(error).toMatchObject({ message: 'no reply', cause, effect: 'unknown', retryAfterMs: 50 })
    expect('cause' in new OncewardError('CLOSED')).toBe(false)
  })

  it('carries the result for its caller and shows it to nobody who prints the error', () => {
    const error = new OncewardError('OUTCOME_NOT_STORED', undefined, { value: { card: '4111' } })
    expect(error.value).toEqual({ card: '4111' })
    expect(inspect(error) + JSON.stringify(error)).not.toContain('4111')
  })
})

describe('isOncewardError', () => {
  it('knows the error and its code', () => {
    const error: unknown = new OncewardError('KEY_REUSED')
    expect(isOncewardError(error)).toBe(true)
    expect(isOncewardError(error, 'KEY_REUSED')).toBe(true)
    expect(isOncewardError(error, 'CLOSED')).toBe(false)
  })

  it('knows the error of another copy of the library', () => {
    const foreign = Object.assign(new Error('reused'), {
      code: 'KEY_REUSED',
      [Symbol.for('onceward.error')]: true,
    })
    expect(isOncewardError(foreign, 'KEY_REUSED')).toBe(true)
  })

  it.each([undefined, null, 'KEY_REUSED', 7, {}, new Error('x'), { code: 'KEY_REUSED' }])(
    'is not fooled by %s',
    (other) => {
      expect(isOncewardError(other)).toBe(false)
    },
  )
})

describe('a mark on an error', () => {
  it('says that nothing happened, or that the failure is final, and hands the error back', () => {
    const before = new Error('invalid')
    expect(noEffect(before)).toBe(before)
    expect(verdictOn(before)).toEqual({ kind: 'no-effect' })
    const final = finalFailure(new Error('declined'))
    expect(verdictOn(final)).toEqual({ kind: 'final', effect: 'none' })
    expect(verdictOn(finalFailure(new Error('late'), { effect: 'unknown' }))).toEqual({
      kind: 'final',
      effect: 'unknown',
    })
  })

  it('can be changed: the last one counts', () => {
    const error = new Error('x')
    finalFailure(error)
    expect(verdictOn(noEffect(error))).toEqual({ kind: 'no-effect' })
  })

  it('is seen by nobody who lists the fields of the error', () => {
    expect(Object.keys(noEffect(new Error('x')))).toEqual([])
  })

  it('is not needed on an error of this library whose effect is none', () => {
    expect(verdictOn(new OncewardError('KEY_REUSED'))).toEqual({ kind: 'no-effect' })
    expect(verdictOn(new OncewardError('CLAIM_LOST'))).toBeUndefined()
  })

  it('is absent from whatever else is thrown', () => {
    for (const thrown of [new Error('x'), 'text', null, undefined, 7])
      expect(verdictOn(thrown)).toBeUndefined()
  })

  it('cannot be put on a bare value or a frozen error: a TypeError names the mend', () => {
    expect(() => noEffect('text' as unknown as object)).toThrow(/mark an error object/)
    expect(() => finalFailure(Object.freeze(new Error('x')))).toThrow(/wrap it in new Error/)
  })
})
