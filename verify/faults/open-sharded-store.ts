import { factoryOf, type Library } from './library.ts'
import type { OpenedStore, StoreAddress } from './store-kinds.ts'

/** Opens several stores as one. */
export async function openShardedStore(
  library: Library,
  shards: readonly StoreAddress[],
  open: (library: Library, address: StoreAddress) => Promise<OpenedStore>,
): Promise<OpenedStore> {
  const shardedStore = await factoryOf(library, 'sharded', 'shardedStore')
  const opened = await Promise.all(shards.map((shard) => open(library, shard)))
  const store = shardedStore(opened.map((one) => one.store))
  return {
    store,
    fill(full) {
      for (const one of opened) one.fill?.(full)
    },
    async close() {
      await Promise.all(opened.map((one) => one.close()))
    },
  }
}
