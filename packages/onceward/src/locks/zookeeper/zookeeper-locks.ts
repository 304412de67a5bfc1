import type { Clock, Timers } from '../../core/clock.ts'
import { refuseUnknown, wholeNumber } from '../../core/known-fields.ts'
import { systemClock, systemTimers } from '../../core/system.ts'
import type { FencingBackend } from '../lock-backend.ts'
import { acquire } from './zookeeper-acquire.ts'
import type { ZookeeperClient } from './zookeeper-client.ts'
import { extend } from './zookeeper-extend.ts'
import { forceRelease, inspect } from './zookeeper-inspect.ts'
import { zookeeperLink } from './zookeeper-link.ts'
import { mark, release, transfer } from './zookeeper-passing-on.ts'
import type { KnownHolder, ZookeeperContext } from './zookeeper-state.ts'
import { zookeeperWaiters } from './zookeeper-waiters.ts'

/** Options of {@link zookeeperLocks}. */
export interface ZookeeperLocksOptions {
  /** The node below which everything is kept; it is created when it is missing. Default `/onceward`. */
  readonly prefix?: string
  /** How long a call may take, in ms. Default 5,000. */
  readonly timeoutMs?: number
  /** ACLs (`ACL` of the client) of every node that is created. Default: the client's, which lets everybody write. */
  readonly acls?: readonly unknown[]
  readonly clock?: Clock
  readonly timers?: Timers
}

const MIN_TTL_MS = 500

/**
 * A session can end before its time as its client reckons it: a follower reports signs of life to the leader every half tick,
 * and dies with what it has not reported. The leader rounds the other way.
 */
const DRIFT = 0.1

/**
 * Locks in ZooKeeper 3.5 or later, over a client of `node-zookeeper-client`, which stays yours: connect it before, close it
 * after.
 *
 * - A holder, and each place in the queue, is an ephemeral node of the client's session. The fence is the id of the
 *   transaction that granted (`czxid`), with no room for a reserve: `maxFences` is 1.
 * - A grant ends with its `ttlMs`, judged by the clock of the leader, or with the session, whichever is earlier. So `ttlMs`
 *   must not be longer than the session's timeout.
 * - When the session expires every lock of the client is lost: an extension answers `false`, and all else `CLOSED`. Make a
 *   new client and new locks then.
 *
 * Limits: a jump of the leader's clock ends locks early or late; a fence tells. A key that has ever had a mark or a forced
 * release keeps its node. The client (1.1.3) waits without end for a server that takes its connection and does not answer,
 * as one can that is just starting: calls fail with `STORE_UNAVAILABLE` then, until you make a new client.
 *
 * @throws `TypeError` for what is no client, and from a call for a `ttlMs` beyond the session. Calls: `STORE_UNAVAILABLE`,
 * `STORE_MISCONFIGURED`, `STORE_CORRUPT`, `CLOSED`, all with effect `none`.
 * @example
 * import { createClient } from 'node-zookeeper-client'
 * import { createLocks } from 'onceward/locks'
 * import { zookeeperLocks } from 'onceward/locks/zookeeper'
 *
 * const client = createClient('10.0.0.1:2181,10.0.0.2:2181,10.0.0.3:2181', { sessionTimeout: 30_000 })
 * client.connect()
 * const locks = createLocks(zookeeperLocks(client), { ttlMs: 20_000 })
 */
export function zookeeperLocks(client: ZookeeperClient, options: ZookeeperLocksOptions = {}): FencingBackend {
  for (const method of ['transaction', 'getData', 'getSessionTimeout'] as const) {
    if (typeof client?.[method] === 'function') continue
    throw new TypeError('zookeeperLocks needs a client of node-zookeeper-client: createClient("host:2181")')
  }
  refuseUnknown('the options of zookeeperLocks', options, ['prefix', 'timeoutMs', 'acls', 'clock', 'timers'])
  const { prefix = '/onceward', timeoutMs = 5000, acls, clock = systemClock, timers = systemTimers } = options
  wholeNumber('timeoutMs', timeoutMs, 1)
  if (typeof prefix !== 'string' || !/^(?:\/[\w-]{1,64}){1,8}$/.test(prefix)) {
    throw new TypeError(
      'the prefix of zookeeperLocks must be a path such as "/onceward": letters, digits, "_", "-"',
    )
  }
  const link = zookeeperLink(client, { timeoutMs, timers, ...(acls ? { acls } : {}) })
  const book = new Map<string, KnownHolder>()
  const waiters = zookeeperWaiters(link)
  const context: ZookeeperContext = { link, prefix, book, waiters, clock }

  return {
    where: link.where,
    capabilities: {
      fencing: true,
      fifo: true,
      push: true,
      shared: true,
      marks: true,
      grantsPlaces: false,
      durable: true,
      maxFences: 1,
    },
    minTtlMs: MIN_TTL_MS,
    drift: DRIFT,
    acquire: (request) => acquire(context, request),
    extend: (requests) => extend(context, requests),
    release: (held) => release(context, held),
    transfer: (from, to) => transfer(context, from, to),
    inspect: (key) => inspect(context, key),
    forceRelease: (request) => forceRelease(context, request),
    mark: (held, text, keepMs) => mark(context, held, text, keepMs),
    watch: (held, wake) => waiters.listen(held, wake),
    async close() {
      waiters.close()
      link.close()
    },
  }
}
