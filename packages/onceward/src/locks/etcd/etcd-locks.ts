import type { Clock, Timers } from '../../core/clock.ts'
import { refuseUnknown, wholeNumber } from '../../core/known-fields.ts'
import { systemClock, systemTimers } from '../../core/system.ts'
import { type EtcdAuth, type EtcdFetch, etcdClient } from '../../drivers/etcd/index.ts'
import type { FencingBackend } from '../lock-backend.ts'
import { acquire } from './acquire.ts'
import type { EtcdContext } from './etcd-context.ts'
import { extend } from './extend.ts'
import { forceRelease, inspect } from './inspect.ts'
import { leaseBook } from './lease-book.ts'
import { FENCES_PER_REVISION } from './lock-state.ts'
import { mark, release, transfer } from './passing-on.ts'
import { placeWatches } from './place-watches.ts'

/** Options of {@link etcdLocks}. */
export interface EtcdLocksOptions {
  /** What every key begins with. Default `onceward`. */
  readonly prefix?: string
  /** A user with readwrite on everything below the prefix. Default: what a URL names, or none. */
  readonly auth?: EtcdAuth
  /** How long a call may take over all endpoints, in ms. Default 5,000. */
  readonly timeoutMs?: number
  /** Makes the requests, for example with certificates of your own (`fetch` of undici with an `Agent`). Default: the global one. */
  readonly fetch?: EtcdFetch
  readonly clock?: Clock
  readonly timers?: Timers
}

/** The shortest lease that etcd gives with its own settings: one and a half election timeouts, in whole seconds. */
const MIN_TTL_MS = 2000

/** etcd judges leases by its monotonic clock. */
const DRIFT = 0.01

/**
 * Locks in etcd 3.4 or later, over the JSON gateway of its client URLs.
 *
 * - Each grant and each place in the queue goes with an etcd lease of its own. The fence is the revision that made the
 *   grant, times 1,024.
 * - `endpoints` are members of one cluster; the next one is asked when one fails or has lost its leader. A minority of the
 *   members may be down.
 *
 * Limits: etcd counts whole seconds, and gives no lease less than about two, so `ttlMs` is at least 2,000 and a lapse comes
 * up to 1.5 s later than asked for; a change of the leader starts the time of every lease anew. Restoring etcd from a
 * snapshot sets revisions back, and with them the fences (`--bump-revision` of etcd 3.6 prevents it).
 *
 * @throws `TypeError` for what is no client URL. Calls: `STORE_UNAVAILABLE`, `STORE_MISCONFIGURED`, `STORE_FULL`,
 * `STORE_CORRUPT`, `CLOSED`, all with effect `none`.
 * @example
 * import { createLocks } from 'onceward/locks'
 * import { etcdLocks } from 'onceward/locks/etcd'
 *
 * const locks = createLocks(etcdLocks(['http://10.0.0.1:2379', 'http://10.0.0.2:2379', 'http://10.0.0.3:2379']))
 */
export function etcdLocks(
  endpoints: string | readonly string[],
  options: EtcdLocksOptions = {},
): FencingBackend {
  refuseUnknown('the options of etcdLocks', options, KNOWN)
  const { prefix = 'onceward', timeoutMs = 5000, clock = systemClock, timers = systemTimers } = options
  checkPrefix(prefix)
  wholeNumber('timeoutMs', timeoutMs, 1)
  const etcd = etcdClient(endpoints, {
    timeoutMs,
    timers,
    ...(options.auth ? { auth: options.auth } : {}),
    ...(options.fetch ? { fetch: options.fetch } : {}),
  })
  const book = leaseBook(etcd)
  const places = placeWatches(etcd, prefix, timers)
  const context: EtcdContext = { etcd, prefix, book, places, clock }

  return {
    where: etcd.where,
    capabilities: {
      fencing: true,
      fifo: true,
      push: true,
      shared: true,
      marks: true,
      grantsPlaces: false,
      durable: true,
      maxFences: FENCES_PER_REVISION,
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
    watch: (held, wake) => places.listen(held, wake),
    async close() {
      places.close()
      etcd.close()
      await book.close()
    },
  }
}

const KNOWN = ['prefix', 'auth', 'timeoutMs', 'fetch', 'clock', 'timers']

function checkPrefix(prefix: string): void {
  if (typeof prefix === 'string' && /^[\w./:-]{1,128}$/.test(prefix) && !prefix.endsWith('/')) return
  throw new TypeError(
    'the prefix of etcdLocks must be 1 to 128 letters, digits and "_ . / : -", without a "/" at the end',
  )
}
