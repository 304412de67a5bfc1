import { expect, it } from 'vitest'
import { layered } from './layered.ts'

it('can be wrapped in turn by whoever answers something else', () => {
  const layer = layered({ renew: () => 'from the store' }, {})
  const wrapped = new Proxy(layer, { get: () => () => 'from the wrapper' })
  expect(layer.renew()).toBe('from the store')
  expect(wrapped.renew()).toBe('from the wrapper')
})
