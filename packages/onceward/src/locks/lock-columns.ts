import { createHash } from 'node:crypto'
import { OncewardError } from '../core/errors.ts'
import type { AcquireRequest, ForcedRelease } from './lock-backend.ts'
import { FORCED_KEPT_MS, type Holder, type LockRecord, type Mark, type Place } from './lock-record.ts'

/**
 * A record as the columns of the table `onceward_locks` of a SQL database. The one who holds alone has columns of his own, so
 * that a single statement can grant, extend and release where nobody else is concerned.
 */
export interface LockColumns {
  readonly token: string | null
  /** The greatest fence that was given out. */
  readonly fence: number
  /** How many fences the grant of `token` has. */
  readonly fences: number
  readonly until: number
  readonly owner: string | null
  readonly meta: string | null
  /** JSON of {@link State}; null for an empty one. */
  readonly state: string | null
  /** Until then others share the lock or wait for it, as far as is known. */
  readonly busy_until: number
  /** Until then there is something in `state`. */
  readonly keep_until: number
}

/** The names of the columns, in the order of {@link LockColumns}. */
export const LOCK_COLUMNS: readonly (keyof LockColumns)[] = [
  'token',
  'fence',
  'fences',
  'until',
  'owner',
  'meta',
  'state',
  'busy_until',
  'keep_until',
]

/** For how long a row is kept after its last use, in ms: an hour, by which the clock of a server may be set back. */
export const IDLE_ROWS_KEPT_MS = 3_600_000

/** What no column tells. JSON has no infinity: `permits` is null for it. */
interface State {
  readonly shared?: readonly Holder[]
  readonly queue?: readonly (Omit<Place, 'permits'> & { readonly permits: number | null })[]
  readonly mark?: Mark
  readonly forced?: readonly ForcedRelease[]
  /** Of the one who holds alone, by the token: a later one may have been granted without a look at this. */
  readonly grown?: { readonly token: string; readonly round: number }
}

/** Writes a record. */
export function toLockColumns(record: LockRecord): LockColumns {
  const alone = record.holders.find((holder) => holder.mode === 'exclusive')
  const shared = record.holders.filter((holder) => holder.mode === 'shared')
  const { queue, mark, forced } = record
  const busyUntil = latest([...shared, ...queue].map(({ until }) => until))
  const state: State = {
    ...(shared.length > 0 ? { shared } : {}),
    ...(queue.length > 0
      ? { queue: queue.map((place) => ({ ...place, permits: finite(place.permits) })) }
      : {}),
    ...(mark ? { mark } : {}),
    ...(forced.length > 0 ? { forced } : {}),
    ...(alone?.round === undefined ? {} : { grown: { token: alone.token, round: alone.round } }),
  }
  return {
    token: alone?.token ?? null,
    fence: record.fence,
    fences: alone?.fences ?? 0,
    until: alone?.until ?? 0,
    owner: alone?.owner ?? null,
    meta: alone?.meta ?? null,
    state: Object.keys(state).length > 0 ? JSON.stringify(state) : null,
    busy_until: busyUntil,
    keep_until: latest([busyUntil, mark?.until ?? 0, ...forced.map(({ at }) => at + FORCED_KEPT_MS)]),
  }
}

/**
 * Reads a record.
 *
 * @throws `STORE_CORRUPT` (effect none) for a row that nobody of ours has written.
 */
export function fromLockColumns(row: LockColumns, where: string): LockRecord {
  const { token, fence, fences, until, owner, meta } = row
  const { shared = [], queue = [], mark, forced = [], grown } = stateOf(row.state, where)
  const alone: Holder | undefined =
    token === null
      ? undefined
      : {
          token,
          mode: 'exclusive',
          fence: fence - fences + 1,
          fences,
          until,
          owner: owner ?? '',
          ...(meta === null ? {} : { meta }),
          ...(grown?.token === token ? { round: grown.round } : {}),
        }
  return {
    fence,
    holders: alone ? [alone, ...shared] : shared,
    queue: queue.map((place) => ({ ...place, permits: place.permits ?? Number.POSITIVE_INFINITY })),
    forced,
    ...(mark ? { mark } : {}),
  }
}

/** The mark of a row that was granted without looking at the rest of its state. */
export function markOf(state: string | null, now: number, where: string): string | undefined {
  if (state === null) return undefined
  const { mark } = stateOf(state, where)
  return mark && mark.until > now ? mark.text : undefined
}

/** The key as it is stored: itself, or its digest where it is longer than 512 bytes. */
export function storedKey(key: string): string {
  return Buffer.byteLength(key) <= 512 ? key : `sha256:${createHash('sha256').update(key).digest('hex')}`
}

/** Times are stored in whole ms; nothing is kept for shorter than was asked. */
export function inWholeMs(request: AcquireRequest): AcquireRequest {
  const { ttlMs, placeMs } = request
  return {
    ...request,
    ttlMs: wholeMs(ttlMs),
    ...(placeMs === undefined ? {} : { placeMs: wholeMs(placeMs) }),
  }
}

/** The longest time that is stored, in ms: about 30,000 years. */
const MAX_MS = 1e15

/** A time in whole ms. */
export function wholeMs(ms: number): number {
  return Math.min(MAX_MS, Math.ceil(ms))
}

function stateOf(state: string | null, where: string): State {
  if (state === null) return {}
  try {
    return JSON.parse(state) as State
  } catch (cause) {
    throw new OncewardError(
      'STORE_CORRUPT',
      `${where}: a row of onceward_locks is not one of ours; delete it once nobody holds this lock`,
      { cause, effect: 'none' },
    )
  }
}

function finite(permits: number): number | null {
  return permits === Number.POSITIVE_INFINITY ? null : permits
}

function latest(times: readonly number[]): number {
  return times.reduce((a, b) => Math.max(a, b), 0)
}
