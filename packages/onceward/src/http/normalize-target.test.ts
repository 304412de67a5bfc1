import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { normalizeTarget } from './normalize-target.ts'

describe('a request target', () => {
  it.each([
    ['/a/%2e%2e/admin', '/admin'],
    ['/a/../admin', '/admin'],
    ['/../../admin', '/admin'],
    ['/a/./b', '/a/b'],
    ['/a//b///c', '/a/b/c'],
    ['//evil.example/x', '/evil.example/x'],
    ['/%7Euser/%41', '/~user/A'],
    ['/a%2fb', '/a%2Fb'],
    ['/a/%252e%252e/b', '/a/%252e%252e/b'],
    ['/a/b/', '/a/b/'],
    ['/a/b/..', '/a/'],
    ['/', '/'],
    ['http://example.com/x/y', '/x/y'],
    ['http://example.com', '/'],
    ['/a#frag', '/a'],
    ['/%e2%82%ac', '/%E2%82%AC'],
    ['/%00', '/%00'],
  ])('%s has the path %s', (target, path) => {
    expect(normalizeTarget(target)).toEqual({ path, query: '' })
  })

  it.each(['/a%', '/a%2', '/a%zz', '/a\\..\\b', 'a/b', '*', '', '/a b', 'javascript:alert(1)'])(
    '%s is refused',
    (target) => {
      expect(normalizeTarget(target)).toBeUndefined()
    },
  )

  it('keeps the query as it was sent', () => {
    expect(normalizeTarget('/a/?b=%2e&c=//&d=?')).toEqual({ path: '/a/', query: 'b=%2e&c=//&d=?' })
  })

  it('is normal after one pass', () => {
    const piece = fc.constantFrom('/', '.', '..', '%2e', '%2F', '%25', 'a', 'B', '~', '%7e')
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const once = normalizeTarget(`/${pieces.join('')}`)
        expect(once && normalizeTarget(once.path)).toEqual(once)
        expect(once?.path.split('/')).not.toContain('..')
      }),
    )
  })
})
