/** Stores of every kind for the suite of dedupe: two connections to the same items, and time that can be moved. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OperationCatalog, OperationStore } from '../../src/core/store.ts'
import { encryptedStore } from '../../src/stores/encrypted/index.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { shardedStore } from '../../src/stores/sharded/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'

export type AnyStore = OperationStore & OperationCatalog

/** Two ways to the same items. */
export interface DedupeRig {
  readonly stores: readonly [AnyStore, AnyStore]
  /** Lets `ms` go by, as far as items can tell. */
  advance(ms: number): Promise<void>
  /** Whether expired items stay until they are purged. */
  readonly keepsExpired: boolean
  close(): Promise<void>
}

export type OpenRig = () => Promise<DedupeRig>

/** One process, one store: both connections are the same. */
export const inMemory: OpenRig = async () => {
  const time = manualTime()
  const store = memoryStore({ clock: time })
  return { stores: [store, store], advance: time.advance, keepsExpired: true, close: () => store.close() }
}

/** Makes a rig of two stores on one file, as `wrap` makes them of the plain ones. */
export const onSqlite =
  (wrap: (open: (name: string) => AnyStore) => AnyStore = (open) => open('a')): OpenRig =>
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onceward-dedupe-'))
    const time = manualTime()
    const clock = { now: time.now, monotonic: () => performance.now() }
    const open = (name: string) =>
      sqliteStore(join(folder, `${name}.sqlite`), { clock, synchronous: 'normal' })
    const stores = [wrap(open), wrap(open)] as const
    await stores[0].migrate()
    return {
      stores,
      advance: time.advance,
      keepsExpired: true,
      async close() {
        for (const store of stores) await store.close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  }

/** Everything sealed. */
export const encrypted: OpenRig = onSqlite((open) =>
  encryptedStore(open('a'), { keys: [{ id: 'k', key: Buffer.alloc(32, 1) }] }),
)

/** Three shards. */
export const sharded: OpenRig = onSqlite((open) => shardedStore({ a: open('a'), b: open('b'), c: open('c') }))

/** Two processes that prefer different layouts, each looking at the other's. */
export const moving: OpenRig = async () => {
  let opened = 0
  return onSqlite((open) => {
    const layouts = [
      ['a', 'b'],
      ['b', 'c'],
    ]
    const [layout, other] = opened++ === 0 ? layouts : layouts.reverse()
    return shardedStore(
      { a: open('a'), b: open('b'), c: open('c') },
      { layout: layout as string[], otherLayouts: [other as string[]] },
    )
  })()
}
