import { describe, expect, it } from 'vitest'
import type { SeenItems } from '../../src/core/seen-items.ts'
import { createDedupe } from '../../src/dedupe/index.ts'
import { type MemoryStore, memoryStore } from '../../src/stores/memory/index.ts'
import { shardedStore } from '../../src/stores/sharded/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'

/** Two shards, and processes that put new items on the one or on the other. */
function shards() {
  const clock = manualTime()
  const stores = { p: memoryStore({ clock }), q: memoryStore({ clock }) }
  const process = (home: 'p' | 'q', over: Partial<typeof stores> = {}, others = true) =>
    createDedupe({
      scope: 'layout',
      windowMs: 60_000,
      store: shardedStore(
        { ...stores, ...over },
        { layout: [home], otherLayouts: others ? [[home === 'p' ? 'q' : 'p']] : [] },
      ),
    })
  return { stores, process, clock }
}

/** The same shard, whose marks are carried out once `go` was called; tells when one has come. */
function delayed(store: MemoryStore) {
  const [come, gone] = [signal(), signal()]
  const seen = store.seen as SeenItems
  const slow: SeenItems = {
    ...seen,
    async mark(request) {
      come.give()
      await gone.given
      return seen.mark(request)
    },
  }
  return { shard: { ...store, seen: slow }, hasCome: come.given, go: gone.give }
}

function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give = () => {}
  const given = new Promise<void>((resolve) => {
    give = resolve
  })
  return { given, give: () => give() }
}

describe('while a layout of shards changes', () => {
  it('one caller is told that an item is new, whichever shard is slower for whom', async () => {
    for (const slow of ['p', 'q'] as const) {
      for (const first of ['p', 'q'] as const) {
        const { stores, process } = shards()
        const { shard, go, hasCome } = delayed(stores[slow])
        const late = process(first, { [slow]: shard }).firstTime('item')
        await hasCome
        const soon = await process(first === 'p' ? 'q' : 'p').firstTime('item')
        go()
        expect([await late, soon].sort(), `${slow} is slow for who prefers ${first}`).toEqual([false, true])
      }
    }
  })

  it('an item is known that was marked under the layout before, and is forgotten on every shard', async () => {
    const { process } = shards()
    expect(await process('p', {}, false).firstTime('item')).toBe(true)
    const now = process('q')
    expect(await now.firstTime('item')).toBe(false)
    expect(await now.forget(['item', 'never seen'])).toBe(1)
    expect(await process('p', {}, false).firstTime('item')).toBe(true)
    expect(await now.firstTime('item')).toBe(false)
  })

  it('an item may be remembered for twice its window, and no longer', async () => {
    const { process, clock } = shards()
    expect(await process('q', {}, false).firstTime('item')).toBe(true)
    await clock.advance(59_000)
    expect(await process('p').firstTime('item')).toBe(false)
    await clock.advance(59_000)
    expect(await process('p').firstTime('item')).toBe(false)
    await clock.advance(2000)
    expect(await process('p').firstTime('item')).toBe(true)
  })

  it('a shard that fails fails the items of its own, by its name, and no others', async () => {
    const { stores } = shards()
    const seen = stores.q.seen as SeenItems
    const down = { ...stores.q, seen: { ...seen, mark: async () => Promise.reject(new Error('gone')) } }
    const store = shardedStore({ p: stores.p, q: down })
    const dedupe = createDedupe({ store, scope: 'layout', retries: 0 })
    const answers = await Promise.allSettled(
      Array.from({ length: 40 }, (_, item) => dedupe.firstTime(item, { markId: `${item}` })),
    )
    const failed = answers.filter((one) => one.status === 'rejected')
    expect(failed.length).toBeGreaterThan(5)
    expect(failed.length).toBeLessThan(35)
    for (const { reason } of failed)
      expect(reason).toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: expect.stringContaining('shard "q"'),
      })
  })
})
