import { describe, expect, it } from 'vitest'
import { withoutCredentials } from '../config/print-config.ts'
import { createStore } from './create-store.ts'
import { numberOf, onlyHost, parseStoreUrl } from './store-url.ts'

const parse = (url: string) => parseStoreUrl('--store', url, ['prefix', 'schema', 'poolSize'])

describe('the URL of a store', () => {
  it.each([
    ['redis://h', { scheme: 'redis', hosts: [{ host: 'h' }], path: '' }],
    ['REDISS://h:1', { scheme: 'rediss', hosts: [{ host: 'h', port: 1 }] }],
    ['redis://[::1]:6379/2', { hosts: [{ host: '::1', port: 6379 }], path: '2' }],
    ['postgres:///app', { hosts: [], path: 'app' }],
    ['postgres://u:p@h/app?schema=s', { user: 'u', password: 'p', path: 'app' }],
    ['postgres://u%40x:p%2F%3F%23%40%3A@h/a%20b', { user: 'u@x', password: 'p/?#@:', path: 'a b' }],
    ['redis://:p@h', { password: 'p' }],
    ['redis://u:a:b@h', { user: 'u', password: 'a:b' }],
    [
      'redis+sentinel://u:p@a:1,b:2,c/main',
      { hosts: [{ host: 'a', port: 1 }, { host: 'b', port: 2 }, { host: 'c' }] },
    ],
  ])('%s is read', (url, parts) => {
    expect(parse(url)).toMatchObject(parts)
  })

  it.each([
    ['redis:h', /is not a URL/],
    ['redis://h:port', /its host is not host:port/],
    ['redis://h:0', /0 is not a port/],
    ['redis://h:99999', /99999 is not a port/],
    ['redis://a,,b', /a host is missing/],
    ['redis://h?prefx=a', /prefx is not a known parameter; did you mean prefix\?/],
    ['redis://h?zzz=a', /zzz is not a known parameter; known are prefix, schema, poolSize/],
    ['redis://h?prefix=a&prefix=b', /gives prefix twice/],
    ['redis://u:100%@h', /a % in it must be written %25/],
    ['redis://u:canary/canary@h', /percent-encoded/],
    ['redis://u:canary#canary@h', /percent-encoded/],
    ['redis://u:canary?canary@h', /percent-encoded/],
  ])('%s is refused with the mend, and without the password', (url, message) => {
    expect(() => parse(url)).toThrow(message)
    try {
      parse(url)
    } catch (error) {
      expect(String(error)).not.toContain('canary')
    }
  })

  it('may need one server, and whole numbers within limits', () => {
    expect(() => onlyHost(parse('redis://a,b'))).toThrow(/name one server/)
    expect(numberOf(parse('redis://a?poolSize=5'), 'poolSize', 1, 10)).toBe(5)
    expect(() => numberOf(parse('redis://a?poolSize=0x5'), 'poolSize', 1, 10)).toThrow(/from 1 to 10/)
    expect(() => numberOf(parse('redis://a?poolSize=11'), 'poolSize', 1, 10)).toThrow(/from 1 to 10/)
  })

  it.each([
    ['redis://user:canary@host/0', 'redis://[redacted]@host/0'],
    ['redis://:canary@host', 'redis://[redacted]@host'],
    ['redis://u:can%40ary@host', 'redis://[redacted]@host'],
    ['redis://u:canary@canary@host', 'redis://[redacted]@host'],
    ['redis://u:ca/na?ry#canary@host', 'redis://[redacted]@host'],
    ['redis:canary@host', 'redis:[redacted]@host'],
    ['postgres://h/a?password=canary&schema=s', 'postgres://h/a?password=[redacted]&schema=s'],
    ['mysql://h/a?x=1&sslToken=canary', 'mysql://h/a?x=1&sslToken=[redacted]'],
    ['sqlite:me@home.sqlite', 'sqlite:me@home.sqlite'],
  ])('%s is shown as %s', (url, shown) => {
    expect(withoutCredentials(url)).toBe(shown)
  })

  it.each([
    ['mongo://u:canary@h', /is not a store; give sqlite:FILE, redis:\/\/….*, postgres:\/\/… or mysql:\/\/…$/],
    ['postgre://u:canary@h', /did you mean postgres:\?/],
    ['/var/lib/a.sqlite', /is not a store; give sqlite:FILE/],
    ['redis+sentinel://h', /name the primary as Sentinel knows it/],
    ['redis+cluster://h/1', /a cluster has one database/],
    ['redis://h/x', /\/x is not the number of a database/],
    ['redis://h/1?db=2', /gives the database twice/],
    ['redis://a:1,b:2', /name one server/],
    ['redis://h?prefix=a{b}', /prefix must be/],
    ['postgres://h/a?sslmode=prefer', /sslmode must be one of disable, no-verify, require/],
    ['postgres://h/a?schema=A', /schema must be/],
    ['postgres://h/a?sslrootcert=none', /sslrootcert cannot be read \(ENOENT\)/],
    ['postgres://h/a?poolSize=1', /poolSize must be a whole number from 2/],
    ['mysql://h', /names no database/],
    ['mysql://h/a?ssl=yes', /ssl must be one of off, no-verify, on/],
    ['mysql://h/a?sslCa=none', /sslCa cannot be read \(ENOENT\)/],
  ])('%s opens nothing, and says what is wrong', async (url, message) => {
    const failed = await createStore(url, { create: false }).catch((error: unknown) => error)
    expect(failed).toMatchObject({ exitCode: 2, message: expect.stringMatching(message) })
    expect(String(failed)).not.toContain('canary')
  })
})
