import type { Clock } from '../../core/clock.ts'
import type { EtcdClient } from '../../drivers/etcd/index.ts'
import type { LeaseBook } from './lease-book.ts'
import { type LockPaths, lockPaths } from './lock-paths.ts'
import type { PlaceWatches } from './place-watches.ts'

/** What the steps of {@link etcdLocks} share. */
export interface EtcdContext {
  readonly etcd: EtcdClient
  readonly prefix: string
  readonly book: LeaseBook
  readonly places: PlaceWatches
  /** For the time of a forced release only: etcd tells nobody its own. */
  readonly clock: Clock
}

/** Where the entries of one lock are. */
export function pathsOf({ prefix }: EtcdContext, key: string): LockPaths {
  return lockPaths(prefix, key)
}

/** etcd counts whole seconds; a grant is never shorter than asked for. */
export function secondsOf(ms: number): number {
  return Math.min(Math.max(1, Math.ceil(ms / 1000)), MAX_SECONDS)
}

/** The longest lease that etcd makes. */
const MAX_SECONDS = 9_000_000_000
