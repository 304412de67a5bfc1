import { expect, it } from 'vitest'
import { downstreamKey } from './downstream-key.ts'
import { operationId } from './identity.ts'

it('gives every operation and every system a key of its own, the same each time', () => {
  const id = operationId('payments', 'order-1')
  const key = downstreamKey(id, 'stripe')
  expect(key).toMatch(/^[\w-]{43}$/)
  expect(downstreamKey(operationId('payments', 'order-1'), 'stripe')).toBe(key)
  const others = [
    downstreamKey(id, 'adyen'),
    downstreamKey(operationId('payments', 'order-2'), 'stripe'),
    id.digest,
  ]
  expect(new Set([key, ...others]).size).toBe(4)
})

it('wants to know which system', () => {
  expect(() => downstreamKey(operationId('s', 'k'), '')).toThrow(TypeError)
  expect(() => downstreamKey(operationId('s', 'k'), undefined as never)).toThrow(TypeError)
})
