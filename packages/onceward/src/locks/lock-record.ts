import type { ForcedRelease, LockMode } from './lock-backend.ts'

/** What a backend remembers of one key. Backends that decide by these rules themselves keep it as they like. */
export interface LockRecord {
  /** The greatest fence that was given out. */
  readonly fence: number
  readonly holders: readonly Holder[]
  /** Those who wait, the first one first. */
  readonly queue: readonly Place[]
  readonly mark?: Mark
  readonly forced: readonly ForcedRelease[]
}

/** Who holds the lock. */
export interface Holder {
  readonly token: string
  readonly mode: LockMode
  /** The first fence of the grant. */
  readonly fence: number
  /** How many fences belong to the grant. */
  readonly fences: number
  /** When it lapses, in ms on the backend's clock. */
  readonly until: number
  readonly owner: string
  readonly meta?: string
  /** Of a grant that a place has become: the {@link PlaceGrant.round} by which its holder knows that. */
  readonly round?: number
}

/** Who waits for it. */
export interface Place {
  readonly token: string
  readonly mode: LockMode
  readonly permits: number
  /** When the place is given up unless it is renewed, in ms on the backend's clock. */
  readonly until: number
  /** What the grant is to be that the place may become. Absent: its turn is only told of. */
  readonly offer?: Offer
}

/** What a place offers to become. */
export interface Offer extends Pick<Holder, 'fences' | 'owner' | 'meta'> {
  readonly round: number
  /** When the place was taken or renewed, in ms on the backend's clock. Absent: before it makes room. */
  readonly at?: number
  readonly ttlMs: number
}

/** What a holder has left for the next one. */
export interface Mark {
  readonly text: string
  readonly until: number
}

/** What is known of a key that nothing is known of. */
export const EMPTY: LockRecord = { fence: 0, holders: [], queue: [], forced: [] }

/** How many forced releases are remembered. */
export const MAX_FORCED = 10

/** For how long a forced release is remembered, in ms: a week. */
export const FORCED_KEPT_MS = 604_800_000
