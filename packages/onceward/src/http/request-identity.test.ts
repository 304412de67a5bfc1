import { describe, expect, it } from 'vitest'
import { operationKey, operationScope } from './request-identity.ts'

describe('the identity of an operation', () => {
  it('can be read', () => {
    expect(operationKey('POST', '/payments', 'k 1')).toBe('POST /payments k 1')
    expect(operationScope('payments', 'acme')).toBe('8:payments/acme')
  })

  it('does not confuse namespace and caller', () => {
    expect(operationScope('a', 'b:c')).not.toBe(operationScope('a:b', 'c'))
    expect(operationScope('a/b', 'c')).not.toBe(operationScope('a', 'b/c'))
  })

  it('stays within what stores take, and stays apart', () => {
    const long = `/${'p'.repeat(2000)}`
    const keys = [
      operationKey('POST', long, 'k'),
      operationKey('POST', `${long}q`, 'k'),
      operationKey('POST', long, 'l'),
      operationKey('PUT', long, 'k'),
    ]
    expect(new Set(keys).size).toBe(4)
    for (const key of keys) expect(key.length).toBeLessThan(100)
    const scopes = [
      operationScope('n', 'c'.repeat(2000)),
      operationScope('n', 'c'.repeat(2001)),
      operationScope('n', '\ud800'),
      operationScope('n', '\ud801'),
    ]
    expect(new Set(scopes).size).toBe(4)
  })
})
