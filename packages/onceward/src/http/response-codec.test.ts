import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Unstorable } from '../core/codec.ts'
import { MAX_HEAD_BYTES, responseCodec } from './response-codec.ts'

const HEADERS = [
  ['Content-Type', 'image/png'],
  ['X-Latin', '\u00e9\u00ff'],
  ['Link', '<a>'],
  ['Link', '<b>'],
] as const

function refusedNote(value: unknown): unknown {
  try {
    responseCodec.encode(value)
  } catch (error) {
    expect(error).toBeInstanceOf(Unstorable)
    return responseCodec.decode((error as Unstorable).note as Uint8Array)
  }
  throw new Error('it was not refused')
}

describe('the response codec', () => {
  it('gives back status, fields and every byte', () => {
    const body = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const response = { status: 203, headers: HEADERS, body }
    expect(responseCodec.decode(responseCodec.encode(response))).toEqual(response)
  })

  it('gives a copy that shares no memory', () => {
    const bytes = responseCodec.encode({ status: 200, headers: [], body: Buffer.from('abc') })
    const first = responseCodec.decode(bytes) as { body: Uint8Array }
    first.body[0] = 0
    expect(responseCodec.decode(bytes)).toMatchObject({ body: new Uint8Array(Buffer.from('abc')) })
  })

  it('refuses an oversize response with a note of its status and location', () => {
    expect(refusedNote({ tooLarge: true, status: 201, location: '/a' })).toEqual({
      tooLarge: true,
      status: 201,
      location: '/a',
    })
    expect(refusedNote({ tooLarge: true, status: 204 })).toEqual({ tooLarge: true, status: 204 })
  })

  it('refuses fields that are too many, with a note', () => {
    const headers = [
      ['Location', '/a'],
      ['Link', 'x'.repeat(MAX_HEAD_BYTES)],
    ] as const
    expect(refusedNote({ status: 201, headers, body: new Uint8Array() })).toMatchObject({
      status: 201,
      location: '/a',
    })
  })

  it.each([
    ['a status that is none', { status: 42, headers: [], body: new Uint8Array() }],
    ['a body that is text', { status: 200, headers: [], body: 'text' }],
    ['no response at all', undefined],
  ])('refuses %s', (_, value) => {
    expect(() => responseCodec.encode(value)).toThrow(TypeError)
  })

  it('refuses a tampered record whose fields would split the response', () => {
    const head = Buffer.from(JSON.stringify([200, [['Location', '/\r\nSet-Cookie: a=1']]]))
    const bytes = Buffer.concat([Buffer.from([1, 0, 0, 0, head.length]), head])
    expect(() => responseCodec.decode(bytes)).toThrow(TypeError)
  })

  it('throws for hostile bytes, and never anything but an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => responseCodec.decode(bytes)).toThrow(Error)
      }),
    )
    const good = responseCodec.encode({ status: 200, headers: HEADERS, body: new Uint8Array(10) })
    for (let length = 0; length < good.length - 10; length++) {
      expect(() => responseCodec.decode(good.subarray(0, length))).toThrow(Error)
    }
  })

  it('stores no field that must never be told again, whoever made the response', () => {
    const headers = [
      ['ETag', '"a"'],
      ['Set-Cookie', 'a=1'],
      ['Content-Length', '7'],
      ['Transfer-Encoding', 'chunked'],
    ] as const
    const stored = responseCodec.encode({ status: 200, headers, body: new Uint8Array() })
    expect(responseCodec.decode(stored)).toMatchObject({ headers: [['ETag', '"a"']] })
  })
})
