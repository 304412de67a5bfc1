import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { memoryStore } from '../memory/index.ts'
import { shardedStore } from './index.ts'

const DIGESTS = Array.from({ length: 3000 }, (_, at) => hash('sha256', `operation ${at}`, 'base64url'))

function storeOf(names: readonly string[]) {
  return shardedStore(Object.fromEntries(names.map((name) => [name, memoryStore()])))
}

function homes(names: readonly string[]): readonly string[] {
  const store = storeOf(names)
  return DIGESTS.map((digest) => store.homeOf({ digest }))
}

describe('the home of an operation', () => {
  it('is the same in every process and every version: what is stored is found again', () => {
    expect(homes(['a', 'b', 'c']).slice(0, 12).join('')).toBe('acbcabbacaab')
  })

  it('does not depend on the order in which shards are given', () => {
    expect(homes(['c', 'a', 'b'])).toEqual(homes(['a', 'b', 'c']))
  })

  it('is spread evenly', () => {
    for (const name of ['a', 'b', 'c', 'd']) {
      const share = homes(['a', 'b', 'c', 'd']).filter((home) => home === name).length / DIGESTS.length
      expect(share).toBeGreaterThan(0.22)
      expect(share).toBeLessThan(0.28)
    }
  })

  it('changes only for what a new shard takes, and what a gone shard leaves', () => {
    const [before, after] = [homes(['a', 'b', 'c']), homes(['a', 'b', 'c', 'd'])]
    const moved = after.filter((home, at) => home !== before[at])
    expect(new Set(moved)).toEqual(new Set(['d']))
    expect(moved.length / DIGESTS.length).toBeGreaterThan(0.2)
    expect(moved.length / DIGESTS.length).toBeLessThan(0.3)
  })

  it('is named by its position where shards are given as a list', () => {
    const named = homes(['shard-0', 'shard-1'])
    const listed = shardedStore([memoryStore(), memoryStore()])
    expect(DIGESTS.map((digest) => listed.homeOf({ digest }))).toEqual(named)
  })

  it('is chosen from the own layout, not from the others', () => {
    const store = shardedStore(
      { a: memoryStore(), b: memoryStore() },
      { layout: ['a'], otherLayouts: [['b']] },
    )
    for (const digest of DIGESTS.slice(0, 20)) expect(store.homeOf({ digest })).toBe('a')
  })
})

describe('shards and layouts that make no sense', () => {
  const shards = () => ({ a: memoryStore(), b: memoryStore() })

  it.each([
    ['no shards', () => shardedStore({}), /at least one shard/],
    ['an empty list', () => shardedStore([]), /at least one shard/],
    ['nothing', () => shardedStore(undefined as never), /stores by name/],
    ['a name without a store', () => shardedStore({ a: undefined as never }), /shard "a" must be a store/],
    ['an empty name', () => shardedStore({ '': memoryStore() }), /needs a name/],
    ['an unknown option', () => shardedStore(shards(), { weights: [1] } as never), /unknown field "weights"/],
    ['an empty layout', () => shardedStore(shards(), { layout: [] }), /layout must be a list/],
    ['a layout that is a text', () => shardedStore(shards(), { layout: 'a' as never }), /layout must be/],
    ['a shard named twice', () => shardedStore(shards(), { layout: ['a', 'a'] }), /names a shard twice/],
    [
      'another layout with an unknown shard',
      () => shardedStore(shards(), { otherLayouts: [['a', 'z']] }),
      /otherLayouts\[0\] names "z", which is none of the shards: a, b/,
    ],
  ])('%s are refused at once', (_name, make, message) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })

  it('one store under two names is refused: it would stand in its own way', () => {
    const store = memoryStore()
    expect(() => shardedStore({ a: store, b: store })).toThrow(/shards "a" and "b" are one store/)
  })
})
