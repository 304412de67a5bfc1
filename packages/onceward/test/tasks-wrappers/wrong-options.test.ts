/** What the wrappers of queues refuse when they are made, and not when the first job comes. */
import { expect, it } from 'vitest'
import { createOnce } from '../../src/core/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { onceProcessor, onceTask, onceWork } from '../../src/tasks/index.ts'

it.each([
  ['onceProcessor', onceProcessor],
  ['onceWork', onceWork],
  ['onceTask', onceTask],
])('%s refuses an option that means nothing, and what is no once or no handler', async (name, wrap) => {
  const once = createOnce({ store: memoryStore(), scope: 'jobs' })
  const make = wrap as (...given: readonly unknown[]) => unknown
  // Without a word, each job would count by its own id.
  expect(() => make(once, () => {}, { key: () => 'invoice-7' })).toThrow(
    new RegExp(`the options of ${name} has an unknown field "key"; known are .*keyOf`),
  )
  expect(() => make(once)).toThrow(/needs a function/)
  expect(() => make(() => {}, once)).toThrow(/needs the once/)
  expect(make(once, () => {}, { keyOf: () => 'invoice-7', leaseMs: 5000, scope: 'mail' })).toBeTypeOf(
    'function',
  )
  await once.close()
})
