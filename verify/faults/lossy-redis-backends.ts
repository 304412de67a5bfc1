import { readdir, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { RedisServer } from '../../test-servers/index.d.mts'
import { type Backend, STORE_MODES } from './backend.ts'
import { type Forwarder, startForwarder } from './forwarder.ts'
import { type AddressShape, PATIENT } from './harness/trial-kind.ts'
import type { Library } from './library.ts'
import { type OpenedStore, openStore, type RedisAddress } from './store-kinds.ts'
import { testServers } from './test-servers.ts'

/** What a Redis that loses its tail does when it is struck; answers the server that goes on. */
type Strike = (server: RedisServer, forMs: number) => Promise<RedisServer>

/**
 * A failover that loses its tail: the replica stops receiving, and is promoted `forMs` later, when the primary dies.
 * It is detached by command rather than stopped, because a stopped one would still find the tail in its socket.
 */
export async function redisFailoverBackend(library: Library): Promise<Backend> {
  const { startRedis, startRedisReplica } = await testServers()
  let replica: RedisServer | undefined
  return lossyRedis(library, 'redis-failover', 'failover', await startRedis(), {
    async prepare(primary) {
      replica ??= await startRedisReplica(primary)
    },
    async strike(primary, forMs) {
      const next = replica
      if (next === undefined) return primary
      await next.command('REPLICAOF', 'NO', 'ONE')
      await new Promise((resolve) => setTimeout(resolve, forMs))
      await primary.stop()
      replica = undefined
      return next
    },
    stop: async () => replica?.stop(),
  })
}

/**
 * A power cut of a Redis with `appendfsync everysec`, modelled: its log is cut back to what it was `forMs` before, at
 * most the second that Redis itself allows. A SIGKILL alone loses nothing, since the log is with the operating system.
 */
export async function redisEverysecBackend(library: Library): Promise<Backend> {
  const { startRedis } = await testServers()
  return lossyRedis(
    library,
    'redis-everysec',
    'power-cut',
    await startRedis({ persistence: 'aof-everysec' }),
    {
      prepare: async () => {},
      async strike(server, forMs) {
        const log = await logOf(server)
        const { size } = await stat(log)
        await new Promise((resolve) => setTimeout(resolve, Math.min(forMs, 1000)))
        await server.kill()
        await truncate(log, size)
        await server.restart()
        return server
      },
      stop: async () => {},
    },
  )
}

/** The part of the append-only file that is being written. */
async function logOf({ folder }: RedisServer): Promise<string> {
  const files = await readdir(folder, { recursive: true })
  const log = files.find((file) => file.endsWith('.incr.aof')) ?? files.find((file) => file.endsWith('.aof'))
  if (log === undefined) throw new Error(`${folder} has no append-only file`)
  return join(folder, log)
}

async function lossyRedis(
  library: Library,
  name: string,
  fault: 'failover' | 'power-cut',
  first: RedisServer,
  ways: {
    readonly prepare: (server: RedisServer) => Promise<void>
    readonly strike: Strike
    readonly stop: () => Promise<unknown>
  },
): Promise<Backend> {
  let server = first
  let generation = 0
  const front: Forwarder = await startForwarder(server)
  const address = (port: number, { seed, timeoutMs }: AddressShape): RedisAddress => ({
    kind: 'redis',
    url: `redis://127.0.0.1:${port}`,
    client: seed % 2 === 0 ? 'ioredis' : 'redis',
    prefix: `faults${generation}`,
    timeoutMs,
  })
  let direct: OpenedStore = await openStore(library, address(front.port, PATIENT))
  return {
    name,
    lossy: true,
    drivers: ['redis', 'ioredis'],
    modes: STORE_MODES,
    faults: ['crash-point', 'reply-lost', fault],
    targets: [front],
    address: ([port = 0], shape) => address(port, shape),
    prepare: () => ways.prepare(server),
    async strike({ forMs }) {
      server = await ways.strike(server, forMs)
      front.retarget(server)
    },
    heal: async () => {},
    get store() {
      return direct.store
    },
    rows: async () => [],
    sum: async () => 0,
    async renew() {
      await direct.close()
      await server.command('FLUSHALL')
      generation++
      direct = await openStore(library, address(front.port, PATIENT))
    },
    async stop() {
      await direct.close()
      await front.stop()
      await ways.stop()
      await server.stop()
    },
  }
}
