import * as v from 'valibot'

/** A duration in whole ms, at least `least`, at most a year. */
export function milliseconds(least: number, about: string): v.GenericSchema<number> {
  return v.pipe(
    v.number('give a whole number of milliseconds'),
    v.integer('give a whole number of milliseconds'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(31_536_000_000, 'must be at most 31536000000 (a year)'),
    v.description(about),
  )
}

/** A size in whole bytes, at most 1 GiB. */
export function bytes(about: string): v.GenericSchema<number> {
  return v.pipe(
    v.number('give a whole number of bytes'),
    v.integer('give a whole number of bytes'),
    v.minValue(0, 'must not be negative'),
    v.maxValue(1_073_741_824, 'must be at most 1073741824 (1 GiB)'),
    v.description(about),
  )
}

/** A whole number within limits. */
export function count(least: number, most: number, about: string): v.GenericSchema<number> {
  return v.pipe(
    v.number('give a whole number'),
    v.integer('give a whole number'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(most, `must be at most ${most}`),
    v.description(about),
  )
}

/** Text that is not empty. */
export function text(about: string): v.GenericSchema<string> {
  return v.pipe(v.string('give text'), v.nonEmpty('must not be empty'), v.description(about))
}

/** An absolute http or https URL. */
export function url(about: string): v.GenericSchema<string> {
  return v.pipe(
    v.string('give an http:// or https:// URL'),
    v.regex(/^https?:\/\/[^\s/]/i, 'give an http:// or https:// URL'),
    v.check((value) => URL.canParse(value), 'give an http:// or https:// URL'),
    v.description(about),
  )
}

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** The name of an HTTP field (RFC 9110 section 5.1). */
export function fieldName(about: string): v.GenericSchema<string> {
  return v.pipe(
    v.string('give a field name'),
    v.regex(FIELD_NAME, 'give an HTTP field name'),
    v.description(about),
  )
}

/** The name of a cookie (RFC 6265 section 4.1.1), of the same characters. */
export function cookieName(about: string): v.GenericSchema<string> {
  return v.pipe(
    v.string('give a cookie name'),
    v.regex(FIELD_NAME, 'give a cookie name such as __Host-once-token'),
    v.description(about),
  )
}

/** Fields that hold a secret, which would be stored and listed as the scope, or that do not tell who asks. */
const NO_CALLERS = /^header:(?:authorization|proxy-authorization|cookie|idempotency-key|host)$/i

/** How callers are told apart. */
export function scope(): v.GenericSchema<string> {
  return v.pipe(
    v.string('give public, header:NAME, jwt:CLAIM or cert'),
    v.regex(
      /^(?:public|cert|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+|jwt:[^\s]+)$/,
      'give public, header:NAME, jwt:CLAIM or cert',
    ),
    v.check(
      (given) => !NO_CALLERS.test(given),
      'that field holds a secret or names no caller, and a scope is stored and listed as it is; use jwt:CLAIM, or a field that your login proxy sets',
    ),
    v.description('How callers are told apart: public (not at all), header:NAME, jwt:CLAIM or cert.'),
  )
}
