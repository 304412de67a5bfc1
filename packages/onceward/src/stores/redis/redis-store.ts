import type { OperationCatalog, OperationStore, StoreCapabilities } from '../../core/store.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'
import { assertDecidable } from '../../core/transition-port.ts'
import {
  assertSafe,
  failure,
  type RedisClient,
  type RedisConnection,
  redisConnection,
} from '../../drivers/redis/index.ts'
import { indexScript } from './index-lua.ts'
import { keyLayout } from './key-layout.ts'
import { recordWatch } from './record-watch.ts'
import { redisCatalog } from './redis-catalog.ts'
import { doctorFindings, STORE_USE } from './redis-doctor.ts'
import { redisSeen } from './redis-seen.ts'
import { checkedOptions, type RedisStoreOptions } from './redis-store-options.ts'
import { closedError, scriptBatches } from './script-batches.ts'
import type { StoreContext } from './store-context.ts'
import {
  checkpointItem,
  claimItem,
  completeItem,
  getItem,
  holdItem,
  type Item,
  releaseItem,
  renewItem,
  resolveItem,
  takeTurnItem,
} from './transition-items.ts'
import { transitionScript } from './transition-lua.ts'

/** A {@link redisStore}. */
export interface RedisStore extends OperationStore, OperationCatalog {
  watch(...args: Parameters<NonNullable<OperationStore['watch']>>): Promise<void>
  /** How the store talks to Redis. */
  readonly connection: RedisConnection
  /** What every key of the store begins with. */
  readonly prefix: string
}

const CAPABILITIES: StoreCapabilities = {
  durable: true,
  transactional: false,
  push: true,
  listing: true,
  fencing: true,
}

/** So many calls are on their way at once: one is carried out while the next is packed. */
const MAX_IN_FLIGHT = 2
/** The same for each bucket of a cluster, where the calls of the other buckets overlap with it. */
const MAX_IN_FLIGHT_OF_BUCKET = 1

/**
 * Remembers operations in Redis 6.2 or later, or Valkey: a single server, behind Sentinel, or a Cluster.
 *
 * - `client` is one of `redis` (node-redis 5 and 6) or `ioredis` (5 and 6). It stays yours: connect it before the first
 *   use, close it after the store.
 * - Every transition is one atomic step of a fixed script, on the server's clock. Those of concurrent callers share a call.
 * - The first use refuses a server that may throw records away (`maxmemory-policy`), with the mend.
 *
 * Limit: replication of Redis is asynchronous and its log is flushed once a second by default. A failover, or a crash of
 * the machine, can undo what was answered last, and then an operation runs again: see `wait`, and `docs/redis.md`.
 *
 * @throws `TypeError` for what is no usable client. Calls: `STORE_UNAVAILABLE`, `STORE_MISCONFIGURED`, `STORE_FULL`,
 * `STORE_READ_ONLY`, `CLOSED` (effect none), `STORE_CORRUPT` (effect unknown).
 * @example
 * import { createOnce } from 'onceward'
 * import { redisStore } from 'onceward/redis'
 * import { createClient } from 'redis'
 *
 * const client = createClient({ url: 'redis://127.0.0.1:6379' })
 * await client.connect()
 * const once = createOnce({ store: redisStore(client), scope: 'payments' })
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): RedisStore {
  const { prefix, commandTimeoutMs, maxBatch, wait, allowEviction } = checkedOptions(options)
  const clock = options.clock ?? systemClock
  const timers = options.timers ?? systemTimers
  const connection = redisConnection('redisStore', client, { timeoutMs: commandTimeoutMs, timers })
  const layout = keyLayout(prefix)
  const batches = scriptBatches({
    connection,
    script: transitionScript(),
    layout,
    clock,
    maxBatch,
    maxInFlight: connection.cluster ? MAX_IN_FLIGHT_OF_BUCKET : MAX_IN_FLIGHT,
    wait,
  })
  const context: StoreContext = {
    connection,
    layout,
    batches,
    index: indexScript(),
    clock,
    timers,
    random: options.random ?? systemRandom,
  }
  const waiters = recordWatch(context)
  const catalog = redisCatalog(context)
  let closed = false
  let safe = false
  let looking: Promise<void> | undefined

  /** Looks at the server once, however many callers come; a failure is tried again by the next. */
  const ready = (): Promise<void> => {
    looking ??= assertSafe(connection, allowEviction, STORE_USE).then(
      () => {
        safe = true
      },
      (error: unknown) => {
        looking = undefined
        throw error
      },
    )
    return looking
  }
  const submit = <T>(item: Item<T>): Promise<T> =>
    safe || closed ? batches.submit(item) : ready().then(() => batches.submit(item))
  /** Runs a call of the catalog. */
  const call = async <T>(body: () => Promise<T>): Promise<T> => {
    if (closed) throw closedError(connection.where)
    if (!safe) await ready()
    return body()
  }

  return {
    capabilities: CAPABILITIES,
    connection,
    prefix,
    async claim(request) {
      const reply = await submit(claimItem(request))
      if (reply !== 'late') return reply
      throw failure('STORE_UNAVAILABLE', `${connection.where} got the claim too late; ask again`)
    },
    renew: (claim, leaseMs) => submit(renewItem(claim, leaseMs)),
    checkpoint: (claim, step) => submit(checkpointItem(claim, step)),
    complete: (claim, outcome, retentionMs) => submit(completeItem(claim, outcome, retentionMs)),
    release: (claim, reason) => submit(releaseItem(claim, reason)),
    hold: (claim, reason) => submit(holdItem(claim, reason)),
    get: (id) => submit(getItem(id.digest)),
    takeTurn: (id, turn) => submit(takeTurnItem(id.digest, turn)),
    async resolve({ digest }, resolution) {
      assertDecidable(resolution.actor, resolution.reason)
      if (!safe && !closed) await ready()
      return batches.submitAudited(digest, (audit) => resolveItem(digest, resolution, audit))
    },
    watch: (id, signal) => waiters.watch(id.digest, signal),
    list: (query) => call(() => catalog.list(query)),
    find: (digest) => call(() => catalog.find(digest)),
    sweep: (limit) => call(() => catalog.sweep(limit)),
    purge: (limit) => call(() => catalog.purge(limit)),
    seen: redisSeen({ connection, layout, wait }, call),
    stats: () => call(() => catalog.stats()),
    audit: (query) => call(() => catalog.audit(query)),
    // There is no schema: keys are made as they are needed.
    migrate: () => call(async () => []),
    async doctor() {
      if (closed) throw closedError(connection.where)
      return doctorFindings(context, { allowEviction })
    },
    async close() {
      if (closed) return
      closed = true
      waiters.close()
      await batches.close()
      connection.close()
    },
  }
}
