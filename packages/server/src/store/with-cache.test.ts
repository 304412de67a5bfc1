import { describe, expect, it } from 'vitest'
import { prefixFor } from './with-cache.ts'

describe('the prefix of a cache', () => {
  it.each([
    ['other databases', 'postgres://db/a', 'postgres://db/b'],
    ['other hosts', 'postgres://one/a', 'postgres://two/a'],
    ['other schemas', 'postgres://db/a?schema=one', 'postgres://db/a?schema=two'],
    ['other sockets', 'postgres:///a?host=/run/one', 'postgres:///a?host=/run/two'],
    ['databases that are called like their users', 'postgres://alice@db', 'postgres://bob@db'],
    ['other kinds of database', 'postgres://db/a', 'mysql://db/a'],
    ['other files', 'sqlite:a.sqlite', 'sqlite:b.sqlite'],
  ])('tells %s apart: one Redis serves both', (_, one, other) => {
    expect(prefixFor(one, {})).not.toBe(prefixFor(other, {}))
  })

  it('tells databases apart that only the environment names', () => {
    const url = 'postgres://alice@db'
    expect(prefixFor(url, { PGDATABASE: 'a' })).not.toBe(prefixFor(url, { PGDATABASE: 'b' }))
    expect(prefixFor('postgres://db', { PGUSER: 'a' })).not.toBe(prefixFor('postgres://db', { PGUSER: 'b' }))
  })

  it.each([
    ['users', 'postgres://alice:one@db/a', 'postgres://bob:two@db/a'],
    ['sizes of the pool', 'mysql://db/a', 'mysql://db/a?poolSize=5'],
  ])('is one for all %s of a database, so that they wake each other', (_, one, other) => {
    expect(prefixFor(one, {})).toBe(prefixFor(other, {}))
  })
})
