import type { Backend } from './backend.ts'
import { STORE_MODES } from './backend.ts'
import { type AddressShape, PATIENT } from './harness/trial-kind.ts'
import type { Library } from './library.ts'
import { redisBackend } from './redis-backend.ts'
import { sqliteBackend } from './sqlite-backend.ts'
import { openStore } from './store-kinds.ts'

/** One store over two that could not differ more: a SQLite file and a Redis server. Each has its own faults. */
export async function shardedBackend(library: Library): Promise<Backend> {
  const redis = await redisBackend(library)
  const sqlite = await sqliteBackend(library)
  const address = (ports: readonly number[], shape: AddressShape) =>
    ({ kind: 'sharded', shards: [sqlite.address([], shape), redis.address(ports, shape)] }) as const
  const openDirect = () =>
    openStore(
      library,
      address(
        redis.targets.map(({ port }) => port),
        PATIENT,
      ),
    )
  let direct = await openDirect()
  return {
    name: 'sharded',
    drivers: redis.drivers,
    modes: STORE_MODES,
    faults: [...new Set([...redis.faults, ...sqlite.faults])],
    targets: redis.targets,
    address,
    prepare: async () => {},
    strike: (fault) => (fault.kind === 'store-busy' ? sqlite.strike(fault) : redis.strike(fault)),
    async heal() {
      await Promise.all([redis.heal(), sqlite.heal()])
    },
    get store() {
      return direct.store
    },
    rows: async () => [],
    sum: async () => 0,
    async renew() {
      await direct.close()
      await Promise.all([redis.renew(), sqlite.renew()])
      direct = await openDirect()
    },
    async stop() {
      await direct.close()
      await Promise.all([redis.stop(), sqlite.stop()])
    },
  }
}
