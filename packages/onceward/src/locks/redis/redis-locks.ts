import type { Finding } from '../../core/store.ts'
import { systemClock, systemRandom, systemTimers } from '../../core/system.ts'
import {
  callGroups,
  checkServer,
  checkUp,
  clockVerdict,
  corruptKey,
  hashTagOf,
  type RedisClient,
  type RedisConnection,
  type RedisReply,
  redisConnection,
  scriptCalls,
} from '../../drivers/redis/index.ts'
import type {
  AcquireReply,
  AcquireRequest,
  ExtendRequest,
  FencingBackend,
  LockBackend,
} from '../lock-backend.ts'
import { MAX_FORCED } from '../lock-record.ts'
import { LOCKS_USE } from '../lock-server-use.ts'
import { isIdle, view } from '../lock-transitions.ts'
import { noted, whole } from '../redis-arguments.ts'
import { lockScripts } from './lock-scripts.ts'
import { modeOf, readRecord, writeMode } from './record-text.ts'
import { checkedOptions, type RedisLocksOptions } from './redis-locks-options.ts'
import { sightings } from './sightings.ts'
import { wakeChannel } from './wake-channel.ts'

/** A {@link redisLocks}. */
export interface RedisLocks extends FencingBackend {
  mark(...args: Parameters<NonNullable<LockBackend['mark']>>): Promise<boolean>
  watch(...args: Parameters<NonNullable<LockBackend['watch']>>): () => void
  /** How the locks talk to Redis. */
  readonly connection: RedisConnection
  /** What every key of the locks begins with. */
  readonly prefix: string
  /** Looks at what of the server would weaken the guarantees, and changes nothing. */
  doctor(): Promise<readonly Finding[]>
}

const CAPABILITIES: RedisLocks['capabilities'] = {
  fencing: true,
  fifo: true,
  push: true,
  shared: true,
  marks: true,
  grantsPlaces: true,
  durable: true,
}

const WHAT = 'a lock'

/** So many locks are extended by one call: the server is held up for about two milliseconds. */
const MOST_EXTENDED = 500

/**
 * Locks in Redis 6.2 or later, or Valkey: a single server, behind Sentinel, or a Cluster.
 *
 * - `client` is one of `redis` (node-redis 5 and 6) or `ioredis` (5 and 6). It stays yours: connect it before the first
 *   use, close it after the locks.
 * - Every step is one call of a fixed script, on the server's clock. Who waits is woken by a message to its own process.
 * - Fences are at least the server's clock in µs, so they go on increasing when the server has forgotten everything.
 *
 * Limit: replication of Redis is asynchronous and its log is flushed once a second by default. After a failover, a
 * `FLUSHALL`, or a restart without the append-only file, a lock that is held can be granted to another; its holder learns it
 * when the lease is extended next. Only a resource that refuses smaller fences keeps the two apart: see `wait`, and
 * `docs/locks.md`.
 *
 * @throws `TypeError` for what is no usable client. Calls: `STORE_UNAVAILABLE`, `STORE_MISCONFIGURED`, `STORE_FULL`,
 * `STORE_READ_ONLY`, `STORE_CORRUPT`, `CLOSED`, all with effect `none`.
 * @example
 * import { createLocks } from 'onceward/locks'
 * import { redisLocks } from 'onceward/locks/redis'
 * import { createClient } from 'redis'
 *
 * const client = createClient({ url: 'redis://127.0.0.1:6379' })
 * await client.connect()
 * const locks = createLocks(redisLocks(client))
 */
export function redisLocks(client: RedisClient, options: RedisLocksOptions = {}): RedisLocks {
  const { prefix, commandTimeoutMs, wait, allowEviction } = checkedOptions(options)
  const { clock = systemClock, timers = systemTimers, random = systemRandom } = options
  const connection = redisConnection('redisLocks', client, { timeoutMs: commandTimeoutMs, timers })
  const calls = scriptCalls({ connection, wait, allowEviction, use: LOCKS_USE, what: WHAT })
  const scripts = lockScripts()
  const channels = `${prefix}:wake:`
  const channel = random.nonce()
  const seen = sightings(clock)
  const wakes = wakeChannel(connection, channels + channel, timers, (token, record) =>
    seen.remember(token, { record }),
  )

  const keyOf = (key: string) => `${prefix}:{${hashTagOf(key)}}:lock:${key}`
  const requestArgs = (request: AcquireRequest): string[] => [
    request.token,
    writeMode(request.mode),
    request.owner,
    noted(request.meta),
    channel,
    String(Number.isFinite(request.permits) ? request.permits : 0),
    whole(request.ttlMs),
    request.placeMs === undefined ? '-1' : whole(request.placeMs),
    request.overtake === true ? '1' : '0',
    String(request.fences ?? 1),
    request.round === undefined ? '' : String(request.round),
  ]
  const answered = (
    { token, ttlMs }: AcquireRequest,
    sentAt: number,
    [now, record, granted, number, mark]: readonly (RedisReply | undefined)[],
  ): AcquireReply => {
    if (granted !== 1) return { granted: false, retryAfterMs: Number(number) }
    if (record instanceof Buffer) {
      // Sent along as a text: one argument of bytes makes both clients write the whole command in small pieces.
      seen.remember(token, { record: String(record), grant: { now: Number(now), ttlMs, sentAt } })
    }
    return { granted: true, fence: Number(number), ...(mark instanceof Buffer ? { mark: String(mark) } : {}) }
  }
  const extendSome = async (requests: readonly ExtendRequest[]): Promise<readonly boolean[]> => {
    const args = requests.flatMap(({ token, ttlMs, meta }) => [token, whole(ttlMs), noted(meta)])
    const replies = await calls.runAcknowledged(
      scripts.extend,
      requests.map(({ key }) => keyOf(key)),
      [channels, ...args],
    )
    return replies.map((reply) => reply === 1)
  }

  return {
    where: connection.where,
    capabilities: CAPABILITIES,
    minTtlMs: 50,
    drift: 0.01,
    connection,
    prefix,
    async acquire(request) {
      const sentAt = clock.monotonic()
      const expected = seen.take(request.token)?.record ?? ''
      const reply = await calls.runAcknowledged(
        scripts.acquire,
        [keyOf(request.key)],
        [channels, expected, ...requestArgs(request)],
      )
      return answered(request, sentAt, reply)
    },
    async extend(requests) {
      const kept: boolean[] = requests.map(() => false)
      const groups = callGroups(
        requests.map(({ key }) => key),
        { cluster: connection.cluster, most: MOST_EXTENDED },
      )
      await Promise.all(
        groups.map(async (places) => {
          const replies = await extendSome(places.map((place) => requests[place] as ExtendRequest))
          for (const [index, place] of places.entries()) kept[place] = replies[index] === true
        }),
      )
      return kept
    },
    async release(held, next) {
      const sentAt = clock.monotonic()
      const { record = '', since } = seen.take(held.token) ?? {}
      const run = next ? calls.runAcknowledged : calls.run
      const [now, text, released, ...answer] = await run(
        scripts.release,
        [keyOf(held.key)],
        [
          channels,
          record,
          since === undefined ? '' : String(since),
          held.token,
          ...(next ? requestArgs(next) : []),
        ],
      )
      return {
        released: released === 1,
        ...(next ? { next: answered(next, sentAt, [now, text, ...answer]) } : {}),
      }
    },
    async transfer(from, to) {
      const [, , done, mode, fence] = await calls.runAcknowledged(
        scripts.transfer,
        [keyOf(from.key)],
        [channels, from.token, to.token, whole(to.ttlMs), to.owner, noted(to.meta)],
      )
      return done === 1 ? { mode: modeOf(String(mode)), fence: Number(fence) } : undefined
    },
    async inspect(key) {
      const [now, text] = await calls.run(scripts.inspect, [keyOf(key)], [channels])
      if (!(text instanceof Buffer)) return undefined
      try {
        const record = readRecord(String(text))
        return isIdle(record, Number(now)) ? undefined : view(key, record, Number(now))
      } catch (error) {
        throw corruptKey({ where: connection.where, what: WHAT }, keyOf(key), error)
      }
    },
    async forceRelease({ key, ifFence, by, reason }) {
      const given = ifFence === undefined ? '' : String(ifFence)
      const args = [channels, given, by, reason, String(MAX_FORCED)]
      const [, , lost] = await calls.runAcknowledged(scripts.force, [keyOf(key)], args)
      return Number(lost)
    },
    async mark({ key, token }, text, keepMs) {
      const args = [channels, token, text, whole(keepMs)]
      const [, , kept] = await calls.runAcknowledged(scripts.mark, [keyOf(key)], args)
      return kept === 1
    },
    watch: ({ token }, wake) => wakes.watch(token, wake),
    async doctor() {
      const check = checkUp()
      if (!(await checkServer(check, connection, { allowEviction, use: LOCKS_USE }))) return check.findings
      await check.look('clock', async () => {
        const before = clock.now()
        const [seconds, micros] = (await connection.command(['TIME'])) as readonly RedisReply[]
        const here = (before + clock.now()) / 2
        return clockVerdict(Number(String(seconds)) * 1000 + Number(String(micros)) / 1000 - here)
      })
      return check.findings
    },
    async close() {
      wakes.close()
      seen.clear()
      calls.close()
    },
  }
}
