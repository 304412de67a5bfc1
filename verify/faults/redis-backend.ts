import { type Backend, PROCESS_FAULTS, STORE_MODES } from './backend.ts'
import { NETWORK_FAULTS } from './harness/fault-kinds.ts'
import { type AddressShape, PATIENT } from './harness/trial-kind.ts'
import type { Library } from './library.ts'
import { serverFaults } from './server-faults.ts'
import { type OpenedStore, openStore, type RedisAddress } from './store-kinds.ts'
import { testServers } from './test-servers.ts'

/** A Redis server of its own that writes each command to its log before it answers: a SIGKILL loses nothing. */
export async function redisBackend(library: Library): Promise<Backend> {
  const { startRedis } = await testServers()
  const server = await startRedis({ persistence: 'aof' })
  const faults = serverFaults(server)
  let generation = 0
  const address = (port: number, { seed, timeoutMs }: AddressShape): RedisAddress => ({
    kind: 'redis',
    url: `redis://127.0.0.1:${port}`,
    client: seed % 2 === 0 ? 'ioredis' : 'redis',
    prefix: `faults${generation}`,
    timeoutMs,
  })
  let direct: OpenedStore = await openStore(library, address(server.port, PATIENT))
  return {
    name: 'redis',
    drivers: ['redis', 'ioredis'],
    modes: STORE_MODES,
    faults: [...PROCESS_FAULTS, ...NETWORK_FAULTS, 'store-kill', 'store-stop', 'script-flush'],
    targets: [server],
    address: ([port = 0], shape) => address(port, shape),
    prepare: async () => {},
    async strike({ kind, forMs }) {
      if (kind === 'store-kill') await faults.kill(forMs)
      else if (kind === 'store-stop') await faults.stop(forMs)
      else if (kind === 'script-flush') await server.command('SCRIPT', 'FLUSH')
    },
    heal: () => faults.heal(),
    get store() {
      return direct.store
    },
    rows: async () => [],
    sum: async () => 0,
    async renew() {
      await direct.close()
      await server.command('FLUSHALL')
      generation++
      direct = await openStore(library, address(server.port, PATIENT))
    },
    async stop() {
      await faults.heal()
      await direct.close()
      await server.stop()
    },
  }
}
