import fc from 'fast-check'
import { normalizeTarget } from 'onceward/http'
import { describe, expect, it } from 'vitest'
import { parseTarget } from './target.ts'

describe('a request target', () => {
  it.each([
    ['/', '/', ''],
    ['/a/b?x=1&y=%2f', '/a/b', '?x=1&y=%2f'],
    ['/a?', '/a', ''],
    ['/%61%2D%7e/%2f%3a', '/a-~/%2F%3A', ''],
    ['/a/./b/../c', '/a/c', ''],
    ['/a/%2e%2E/b', '/b', ''],
    ['/../../a', '/a', ''],
    ['/a/..', '/', ''],
    ['/a/b/.', '/a/b/', ''],
    ['/a//b', '/a//b', ''],
    ['/...', '/...', ''],
    ['/a?b=../c', '/a', '?b=../c'],
  ])('%s is the path %s with the query "%s"', (target, path, query) => {
    expect(parseTarget(target)).toEqual({ path, query })
  })

  it.each([
    '',
    '*',
    'a',
    '//host/a',
    '/x/..//host',
    '/.//host',
    'http://host/a',
    '/a\\b',
    '/a#b',
    '/a b',
    '/admin//../x',
    '/a%',
    '/a%2',
    '/a%zz',
    '/%2e%2e%2fa',
    '/a/..%5cb',
    '/ä',
  ])('%j is refused', (target) => {
    expect(parseTarget(target)).toBeUndefined()
  })

  it('is the same to routing, forwarding and identity, and stays so when it is read again', () => {
    const part = fc.constantFrom(
      'a',
      '.',
      '..',
      '/',
      '//',
      '%2e',
      '%2E',
      '%61',
      '%2f',
      '%5C',
      '%25',
      '~',
      ':',
      '%zz',
      '?',
      'é',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const target = `/${parts.join('')}`
        const parsed = parseTarget(target)
        if (parsed === undefined) return
        expect(normalizeTarget(parsed.path + parsed.query)?.path).toBe(normalizeTarget(target)?.path)
        expect(parseTarget(parsed.path + parsed.query)).toEqual(parsed)
      }),
      { numRuns: 2000 },
    )
  })
})
