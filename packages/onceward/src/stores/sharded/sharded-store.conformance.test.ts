import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import type { StoreCapabilities } from '../../core/store.ts'
import {
  catalogConformance,
  registerCases,
  type StoreHarness,
  storeConformance,
} from '../../testing/index.ts'
import { memoryStore } from '../memory/index.ts'
import { sqliteStore } from '../sqlite/index.ts'
import { type ShardedStore, type ShardedStoreOptions, shardedStore } from './index.ts'

/** How the two connections of the suite see the layout: the same way, or each from its side of a change. */
interface Views {
  readonly name: string
  readonly a: ShardedStoreOptions
  readonly b: ShardedStoreOptions
  readonly skip?: Readonly<Record<string, string>>
}

/** What two processes that meet on two shards do not keep. */
const ON_TWO_SHARDS = {
  'of 50 concurrent claims of one key over all connections one wins, the others find it running':
    'duplicates are counted on the shard that turned them away; claim-race.test.ts has the race',
  'concurrent claims of many keys at once have one winner for each key':
    'claims that meet on two shards may all be given back; claim-race.test.ts and moving-claims.test.ts have the race',
  'concurrent claims that end at once each run alone, one after the other':
    'a claim that was given back to another shard counts as an attempt; claim-race.test.ts has the race',
  'one owner asking from two connections at once gets one claim':
    'a nonce belongs to one process; where two share one, one of them may be told that it is running',
}

const SMALL = ['a', 'b']
const LARGE = ['a', 'b', 'c']

const VIEWS: readonly Views[] = [
  { name: 'one layout', a: {}, b: {} },
  {
    name: 'both before a change',
    a: { layout: SMALL, otherLayouts: [LARGE] },
    b: { layout: SMALL, otherLayouts: [LARGE] },
  },
  {
    name: 'one before, one after a change',
    a: { layout: SMALL, otherLayouts: [LARGE] },
    b: { layout: LARGE, otherLayouts: [SMALL] },
    skip: ON_TWO_SHARDS,
  },
  {
    name: 'layouts that share no shard',
    a: { layout: ['a'], otherLayouts: [['b'], ['c']] },
    b: { layout: ['c'], otherLayouts: [['a'], ['b']] },
    skip: ON_TWO_SHARDS,
  },
]

function overMemory(views: Views): StoreHarness<ShardedStore> {
  return {
    capabilities: { ...CAPABILITIES, durable: false },
    model: { runs: 60 },
    async open() {
      let now = Date.UTC(2026, 0, 1)
      const clock = { now: () => now, monotonic: () => now }
      const shards = Object.fromEntries(LARGE.map((name) => [name, memoryStore({ clock })]))
      const stores = [shardedStore(shards, views.a), shardedStore(shards, views.b)] as const
      return {
        stores,
        advance: (ms) => {
          now += ms
        },
        close: () => stores[0].close(),
      }
    },
  }
}

function overSqlite(views: Views): StoreHarness<ShardedStore> {
  return {
    capabilities: CAPABILITIES,
    model: { runs: 5 },
    async open() {
      const folder = await mkdtemp(join(tmpdir(), 'onceward-sharded-'))
      let now = Date.UTC(2026, 0, 1)
      const clock = { now: () => now, monotonic: () => performance.now() }
      const connect = (options: ShardedStoreOptions) =>
        shardedStore(
          Object.fromEntries(
            LARGE.map((name) => [
              name,
              sqliteStore(join(folder, `${name}.sqlite`), { clock, synchronous: 'normal' }),
            ]),
          ),
          options,
        )
      const stores = [connect(views.a), connect(views.b)] as const
      await stores[0].migrate()
      return {
        stores,
        advance: (ms) => {
          now += ms
        },
        async close() {
          for (const store of stores) await store.close()
          await rm(folder, { recursive: true, force: true })
        },
      }
    },
  }
}

const CAPABILITIES: StoreCapabilities = {
  durable: true,
  transactional: false,
  push: true,
  listing: true,
  fencing: true,
}

for (const views of VIEWS) {
  describe(`the sharded store over memory, ${views.name}`, () => {
    const harness = overMemory(views)
    registerCases(it, storeConformance({ ...harness, ...(views.skip ? { skip: views.skip } : {}) }))
    registerCases(it, catalogConformance(harness))
  })
}

for (const views of [VIEWS[0], VIEWS[2]].filter((one) => one !== undefined)) {
  describe(`the sharded store over SQLite files, ${views.name}`, () => {
    const harness = overSqlite(views)
    registerCases(it, storeConformance({ ...harness, ...(views.skip ? { skip: views.skip } : {}) }))
    registerCases(it, catalogConformance(harness))
  })
}
