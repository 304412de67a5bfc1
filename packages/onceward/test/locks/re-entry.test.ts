import { expect, it } from 'vitest'
import { createLocks } from '../../src/locks/create-locks.ts'
import { memoryLocks } from '../../src/locks/memory/index.ts'
import { gate, settled } from './lock-rig.ts'

// Of its own, since it is about the first re-entry in a process: Node.js follows async contexts only from then on.
it('is not for work that was under way before anybody in this process had asked for re-entry', async () => {
  const locks = createLocks(memoryLocks())
  const order: string[] = []
  const [first, second, done] = [gate(), gate(), gate()]
  const work = async (name: string, begin: Promise<void>, end: Promise<void>) => {
    await begin
    const lease = await locks.acquire('a', { reentrant: true })
    order.push(`${name} in`)
    await end
    order.push(`${name} out`)
    expect(await lease.release()).toBe('released')
  }
  const both = [work('one', first.opened, done.opened), work('two', second.opened, Promise.resolve())]
  setTimeout(first.open)
  await settled()
  await expect.poll(() => order).toEqual(['one in'])
  setTimeout(second.open, 1)
  await new Promise((resolve) => setTimeout(resolve, 20))
  done.open()
  await Promise.all(both)
  expect(order).toEqual(['one in', 'one out', 'two in', 'two out'])
  await locks.close()
})
