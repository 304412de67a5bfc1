import { factoryOf, type Library } from './library.ts'
import { openPostgresStore } from './open-postgres-store.ts'
import { connectRedis } from './open-redis-store.ts'
import type { AddressOf, OpenedStore } from './store-kinds.ts'

/** Opens PostgreSQL with Redis before it. */
export async function openTieredStore(
  library: Library,
  { cache, store: address }: AddressOf<'tiered'>,
): Promise<OpenedStore> {
  const tieredStore = await factoryOf(library, 'tiered', 'tieredStore')
  const [{ client, end }, opened] = await Promise.all([
    // Redis may be down when a worker starts; this client connects whenever it can.
    connectRedis({ url: cache.url, client: 'ioredis' }),
    openPostgresStore(library, address),
  ])
  const store = tieredStore({ cache: client, store: opened.store, prefix: cache.prefix, retryAfterMs: 200 })
  return {
    store,
    ...(opened.write ? { write: opened.write } : {}),
    async close() {
      await opened.close()
      end()
    },
  }
}
