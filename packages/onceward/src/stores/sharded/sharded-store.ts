import type { Random, Timers } from '../../core/clock.ts'
import { kindOf, refuseUnknown } from '../../core/known-fields.ts'
import type { OperationId } from '../../core/operation.ts'
import type { OperationCatalog, OperationStore, StoreCapabilities } from '../../core/store.ts'
import { systemRandom, systemTimers } from '../../core/system.ts'
import { movingOperations } from './moving-operations.ts'
import { type Shard, type ShardStore, shard } from './shard.ts'
import { shardLayout } from './shard-layout.ts'
import { shardedCatalog } from './sharded-catalog.ts'
import { shardedSeen } from './sharded-seen.ts'

/** The shards by name, or a list of them: then a shard is named by its position, `shard-0`, `shard-1`… */
export type Shards = Readonly<Record<string, ShardStore>> | readonly ShardStore[]

/** Options of {@link shardedStore}. Layouts are lists of names of shards. */
export interface ShardedStoreOptions {
  /** The shards that new operations are put on. Default: all. */
  readonly layout?: readonly string[]
  /**
   * The layouts that other running processes put operations on, or have put operations on that are still remembered.
   * Default: none. For the order in which a change is rolled out see docs/sharding.md.
   */
  readonly otherLayouts?: readonly (readonly string[])[]
  /** Waits. Default: the timers of this process. */
  readonly timers?: Timers
  /** Draws jitter. Default: the operating system's randomness. */
  readonly random?: Random
}

/** A {@link shardedStore} with its catalog. */
export interface ShardedStore extends OperationStore, OperationCatalog {
  watch(...args: Parameters<NonNullable<OperationStore['watch']>>): Promise<void>
  /** The name of the shard on which this process would put a new operation. */
  homeOf(id: Pick<OperationId, 'digest'>): string
}

/**
 * Spreads operations over several stores by rendezvous hashing: the same operation always lands on the same shard.
 *
 * - The *name* of a shard decides what lands on it: keep it when its store moves to another machine. In a list, the
 *   position is the name, so append and never insert.
 * - It can do what all of its shards can. It joins no transaction: a transaction is on one database.
 * - A shard that is down stops its own operations (`STORE_UNAVAILABLE`, naming it) and no others. Listings and counts
 *   then fail, rather than leave something out.
 * - While a layout changes, give the other one in `otherLayouts`: what it put elsewhere is found there, and an operation
 *   is granted on one shard only, although processes prefer different ones. Such an operation costs two more round trips.
 *
 * Limits: fences of an operation that moved come from the clocks of two shards. `find` by a prefix may answer the record
 * of one shard although another has two with that prefix.
 *
 * `close()` closes the shards.
 *
 * @throws `TypeError` for no shards, a store that cannot list, one store under two names, unknown names in a layout.
 * @example
 * import { shardedStore } from 'onceward/sharded'
 *
 * const store = shardedStore({ a: sqliteStore('a.sqlite'), b: sqliteStore('b.sqlite') })
 */
export function shardedStore(shards: Shards, options: ShardedStoreOptions = {}): ShardedStore {
  refuseUnknown('shardedStore', options, ['layout', 'otherLayouts', 'timers', 'random'])
  const members = namedShards(shards)
  const layout = shardLayout(members, options.layout, options.otherLayouts ?? [])
  const moving = movingOperations({
    timers: options.timers ?? systemTimers,
    random: options.random ?? systemRandom,
  })

  /** Asks the only home, or goes the long way round. */
  const route = <T>(
    digest: string,
    only: (store: ShardStore) => Promise<T>,
    several: (homes: readonly Shard[]) => Promise<T>,
  ): Promise<T> => {
    const homes = layout.homesOf(digest)
    return homes.length === 1 ? homes[0].call(only) : several(homes)
  }
  type Transition = (store: ShardStore) => Promise<boolean>
  const transition = (claim: Parameters<OperationStore['renew']>[0], ends: boolean, act: Transition) =>
    route(claim.id.digest, act, (homes) => moving.transition(homes, claim, ends, act))

  return {
    capabilities: weakest(members),
    homeOf: ({ digest }) => layout.homeOf(digest).name,
    claim: (request) =>
      route(
        request.id.digest,
        (store) => store.claim(request),
        (homes) => moving.claim(homes, request),
      ),
    renew: (claim, leaseMs) => transition(claim, false, (store) => store.renew(claim, leaseMs)),
    checkpoint: (claim, step) => transition(claim, false, (store) => store.checkpoint(claim, step)),
    complete: (claim, outcome, retentionMs) =>
      transition(claim, true, (store) => store.complete(claim, outcome, retentionMs)),
    release: (claim, failure) => transition(claim, true, (store) => store.release(claim, failure)),
    hold: (claim, reason) => transition(claim, true, (store) => store.hold(claim, reason)),
    get: (id) =>
      route(
        id.digest,
        (store) => store.get(id),
        (homes) => moving.get(homes, id),
      ),
    takeTurn(id, turn) {
      const act: Transition = (store) => store.takeTurn(id, turn)
      return route(id.digest, act, (homes) => moving.anyOf(homes, act))
    },
    resolve(id, resolution) {
      const act = (store: ShardStore) => store.resolve(id, resolution)
      return route(id.digest, act, (homes) => moving.resolve(homes, act))
    },
    watch: (id, signal) => moving.watch(layout.homesOf(id.digest), id, signal),
    ...shardedCatalog(layout),
    ...shardedSeen(layout),
    async close() {
      const closing = await Promise.allSettled(members.map((one) => one.call((store) => store.close())))
      for (const one of closing) if (one.status === 'rejected') throw one.reason
    },
  }
}

/** @throws `TypeError` for what cannot be shards. */
function namedShards(given: Shards): readonly Shard[] {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`shardedStore needs stores by name, or a list of stores, not ${kindOf(given)}`)
  const named: readonly (readonly [string, ShardStore])[] = Array.isArray(given)
    ? (given as readonly ShardStore[]).map((store, at) => [`shard-${at}`, store] as const)
    : Object.entries(given as Readonly<Record<string, ShardStore>>)
  if (named.length === 0) throw new TypeError('shardedStore needs at least one shard')
  const seen = new Map<unknown, string>()
  for (const [name, store] of named) {
    if (name === '') throw new TypeError('a shard needs a name')
    if (typeof store?.claim !== 'function' || typeof store.list !== 'function') {
      throw new TypeError(`shard "${name}" must be a store that can list, not ${kindOf(store)}`)
    }
    const other = seen.get(store)
    if (other !== undefined) {
      throw new TypeError(`shards "${other}" and "${name}" are one store; give each shard a store of its own`)
    }
    seen.set(store, name)
  }
  return named.map(([name, store]) => shard(name, store))
}

/** What all of them can. */
function weakest(shards: readonly Shard[]): StoreCapabilities {
  const all = (can: (capabilities: StoreCapabilities) => boolean) =>
    shards.every(({ store }) => can(store.capabilities))
  return {
    durable: all(({ durable }) => durable),
    transactional: false,
    push: all(({ push }) => push),
    listing: all(({ listing }) => listing),
    fencing: all(({ fencing }) => fencing),
  }
}
