import { expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'

// Of its own, since it is about the first re-entry in a process.
it('goes on from the first acquire in a process, where the locks were made for re-entry', async () => {
  const locks = createLocks(memoryLocks(), { reentrant: true })
  await new Promise((resolve) => setImmediate(resolve))
  const outer = await locks.acquire('a')
  const inner = await locks.acquire('a', { waitMs: 100 })
  expect(inner.fence).toBe(outer.fence)
  expect(await inner.release()).toBe('released')
  outer.assertHeld()
  await locks.close()
})
