import { describe, expect, it } from 'vitest'
import {
  NEVER_STORED,
  outwardHeaders,
  replayedHeaders,
  storedHeaders,
  trustedRequestHeaders,
} from './response-headers.ts'

describe('the fields of a stored response', () => {
  it('are those on the list, in their order and spelling', () => {
    const headers = [
      ['Content-Type', 'a/b'],
      ['X-Other', '1'],
      ['LOCATION', '/x'],
      ['Vary', 'Cookie'],
    ] as const
    expect(storedHeaders(headers, replayedHeaders())).toEqual([
      ['Content-Type', 'a/b'],
      ['LOCATION', '/x'],
      ['Vary', 'Cookie'],
    ])
  })

  it('never are credentials, cookies, dates or those of the connection', () => {
    const headers = [...NEVER_STORED].map((name) => [name, 'x'] as const)
    expect(storedHeaders(headers, new Set(NEVER_STORED))).toEqual([])
    for (const name of [
      'set-cookie',
      'authorization',
      'www-authenticate',
      'date',
      'age',
      'transfer-encoding',
      'connection',
      'te',
      'upgrade',
    ])
      expect(NEVER_STORED).toContain(name)
  })

  it('leave out what Connection names', () => {
    const headers = [
      ['Connection', 'close, ETag'],
      ['ETag', '"1"'],
      ['Link', '<a>'],
    ] as const
    expect(storedHeaders(headers, replayedHeaders())).toEqual([['Link', '<a>']])
  })

  it('can be more on request, but not credentials', () => {
    expect(storedHeaders([['X-Order', '1']], replayedHeaders(['X-Order']))).toEqual([['X-Order', '1']])
    expect(() => replayedHeaders(['Set-Cookie'])).toThrow(/Set-Cookie/)
  })

  it('do not carry the word on the effect out, nor what the guard says itself', () => {
    const headers = [
      ['Onceward-Effect', 'none'],
      ['Idempotency-Key', 'k'],
      ['idempotency-expires', 'x'],
      ['X', 'y'],
    ] as const
    expect(outwardHeaders(headers)).toEqual([['X', 'y']])
  })
})

it('fields that only the guard may set are dropped from requests', () => {
  expect(
    trustedRequestHeaders([
      ['Onceward-Fence', '9'],
      ['ONCEWARD-EFFECT', 'none'],
      ['onceward-attempt', '1'],
      ['A', 'b'],
    ]),
  ).toEqual([['A', 'b']])
})
