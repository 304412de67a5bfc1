import type { Backend } from './backend.ts'
import type { Library } from './library.ts'
import { postgresAddress, postgresBackend } from './postgres-backend.ts'
import { serverFaults } from './server-faults.ts'
import { testServers } from './test-servers.ts'

/**
 * PostgreSQL with a Redis before it that keeps nothing on disk: it is emptied, killed, stopped and failed over to an
 * empty replica, and nobody may get another answer because of it.
 */
export async function tieredBackend(library: Library): Promise<Backend> {
  const { startRedis } = await testServers()
  const redis = await startRedis()
  const behind = await postgresBackend(library, 'pg')
  const faults = serverFaults(redis)
  let generation = 0
  return {
    ...behind,
    name: 'tiered',
    drivers: ['pg', 'ioredis'],
    faults: [...behind.faults, 'cache-flush', 'cache-kill', 'cache-stop'],
    targets: [redis, ...behind.targets],
    address: ([cachePort = 0, port = 0], shape) => ({
      kind: 'tiered',
      cache: {
        kind: 'redis',
        url: `redis://127.0.0.1:${cachePort}`,
        client: 'ioredis',
        prefix: `faults${generation}`,
        timeoutMs: shape.timeoutMs,
      },
      store: postgresAddress(behind.urlAt(port), shape, 'pg'),
    }),
    get store() {
      return behind.store
    },
    async strike(fault) {
      // It keeps nothing: a kill is also the failover to a replica that had received nothing.
      if (fault.kind === 'cache-kill') await faults.kill(fault.forMs)
      else if (fault.kind === 'cache-stop') await faults.stop(fault.forMs)
      else if (fault.kind === 'cache-flush') await redis.command('FLUSHALL')
      else await behind.strike(fault)
    },
    async heal() {
      await Promise.all([faults.heal(), behind.heal()])
    },
    async renew(migrateBy) {
      generation++
      await behind.renew(migrateBy)
    },
    async stop() {
      await faults.heal()
      await behind.stop()
      await redis.stop()
    },
  }
}
