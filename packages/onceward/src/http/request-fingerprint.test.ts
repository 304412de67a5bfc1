import { describe, expect, it } from 'vitest'
import { MAX_JSON_DEPTH, requestFingerprint } from './request-fingerprint.ts'

const request = { method: 'POST', path: '/a', query: 'q=1', mediaType: 'application/json', headers: [] }
const of = (changes: object, body: string | { parsed: unknown } = '{"a":1}', canonical = false) =>
  requestFingerprint(
    { ...request, ...changes },
    typeof body === 'string' ? Buffer.from(body) : body,
    canonical,
  )

describe('the fingerprint of a request', () => {
  it('is the same for the same request', () => {
    expect(of({})).toBe(of({}))
  })

  it('differs with method, path, query, media type and every byte of the body', () => {
    const all = [
      of({}),
      of({ method: 'PUT' }),
      of({ path: '/b' }),
      of({ query: 'q=2' }),
      of({ mediaType: 'text/plain' }),
      of({}, '{"a":2}'),
      of({}, '{"a": 1}'),
      of({}, ''),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  it('does not take the end of one part for the beginning of the next', () => {
    expect(of({ path: '/a', query: 'b' })).not.toBe(of({ path: '/ab', query: '' }))
    expect(of({ mediaType: 'x' }, 'yz')).not.toBe(of({ mediaType: 'xy' }, 'z'))
  })

  it('ignores spacing and order of members where JSON is compared by its canonical form', () => {
    expect(of({}, '{"b":[1.0,"é"],"a":1}', true)).toBe(of({}, ' { "a" : 1e0, "b":[1,"\\u00e9"]}', true))
    expect(of({}, '{"a":1}', true)).not.toBe(of({}, '{"a":"1"}', true))
  })

  it('is the same from the bytes and from what a parser left of them', () => {
    const text = '{"b":[1,{"c":null}],"a":"é"}'
    expect(of({}, { parsed: JSON.parse(text) })).toBe(of({}, text, true))
  })

  it('compares bytes of any other media type', () => {
    const plain = { mediaType: 'text/plain' }
    expect(of(plain, '{"a":1}', true)).not.toBe(of(plain, '{"a": 1}', true))
  })

  describe('of a form with parts', () => {
    const part = (content: string, boundary: string) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n${content}\r\n`
    const sent = (boundary: string, ...contents: string[]) =>
      `${contents.map((content) => part(content, boundary)).join('')}--${boundary}--\r\n`
    const as = (boundary: string, body: string) =>
      of(
        {
          mediaType: 'multipart/form-data',
          headers: [['Content-Type', `multipart/form-data; boundary=${boundary}`]],
        },
        body,
      )

    it('is that of its parts, whatever boundary is drawn between them', () => {
      expect(as('one', sent('one', 'x', 'y'))).toBe(as('other', sent('other', 'x', 'y')))
      const others = [
        as('one', sent('one', 'x', 'y')),
        as('one', sent('one', 'y', 'x')),
        as('one', sent('one', 'xy', '')),
        as('one', sent('one', `x${part('y', '').slice('--\r\n'.length).trimEnd()}`)),
        as('one', sent('one', 'x', 'y', '')),
        as('one', sent('one', 'x')),
        as('one', sent('one', 'x', 'Y')),
        as('one', sent('one', `x\r\n${part('y', 'two').trimEnd()}`)),
      ]
      expect(new Set(others).size).toBe(others.length)
    })

    it('is that of its bytes where no parts can be told apart', () => {
      const [one, other] = [part('x', 'one'), part('x', 'other')]
      expect(as('one', one)).toBe(as('one', one))
      expect(as('one', one)).not.toBe(as('other', other))
      expect(as('one', sent('other', 'x'))).not.toBe(as('two', sent('other', 'y')))
    })

    it('is never that of other bytes', () => {
      const whole = sent('one', 'x')
      const inner = whole.slice('--one\r\n'.length, -'\r\n--one--\r\n'.length)
      expect(as('one', whole)).not.toBe(as('two', `parts:${inner.length}:${inner}`))
      expect(as('one', whole)).not.toBe(as('two', inner))
    })
  })

  it('keeps members named like those of Object', () => {
    expect(of({}, '{"__proto__":{"x":1}}', true)).not.toBe(of({}, '{}', true))
  })

  it.each([
    ['what is not JSON', '{"a":'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['a million brackets', '['.repeat(1_000_000)],
    ['a million objects', '{"a":'.repeat(200_000)],
    ['one level too many', `${'['.repeat(MAX_JSON_DEPTH + 1)}${']'.repeat(MAX_JSON_DEPTH + 1)}`],
  ])('is refused for %s where the canonical form is asked for', (_, body) => {
    expect(() => requestFingerprint(request, Buffer.from(body), true)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }),
    )
  })

  it('does not count brackets in texts as nesting', () => {
    expect(of({}, JSON.stringify({ a: '[{"\\'.repeat(5000) }), true)).toMatch(/^[\w-]{43}$/)
    const deep = `${'['.repeat(MAX_JSON_DEPTH)}${']'.repeat(MAX_JSON_DEPTH)}`
    expect(of({}, deep, true)).toMatch(/^[\w-]{43}$/)
  })
})
