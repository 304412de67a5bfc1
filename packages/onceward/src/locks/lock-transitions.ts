import type {
  AcquireReply,
  AcquireRequest,
  ExtendRequest,
  ForceRequest,
  HeldLock,
  LockView,
  PlaceGrant,
  ReleaseReply,
  Transferred,
} from './lock-backend.ts'
import { EMPTY, FORCED_KEPT_MS, type Holder, type LockRecord, MAX_FORCED, type Place } from './lock-record.ts'

/** One who is to be told: whose turn it may be, or whose place has become the grant. */
export interface Turn {
  readonly token: string
  readonly granted?: PlaceGrant
}

/** What one step makes of a record. `record` is absent where nothing is to be written. `wake` is who is to be told. */
export interface Step<Reply> {
  readonly reply: Reply
  readonly record?: LockRecord
  readonly wake: readonly Turn[]
}

/*
 * The rules of locks, free of any backend. `now` is the backend's clock in ms. What has lapsed by then counts as gone: a
 * holder at its `until`, a place at its own.
 */

/** Grants the lock, or keeps a place. A request that is asked again is the same: it keeps its grant, or its place. */
export function acquire(
  found: LockRecord | undefined,
  request: AcquireRequest,
  now: number,
): Step<AcquireReply> {
  const record = pruned(found ?? EMPTY, now)
  const { token, mode, permits, ttlMs, owner, meta, placeMs, overtake = false, fences = 1, round } = request
  const held = record.holders.find((holder) => holder.token === token)
  if (held) {
    const holders = replaced(record.holders, { ...held, until: now + ttlMs })
    return { reply: grantOf(held.fence, record), record: { ...record, holders }, wake: [] }
  }
  const at = record.queue.findIndex((place) => place.token === token)
  const ahead = overtake ? [] : at < 0 ? record.queue : record.queue.slice(0, at)
  if (ahead.length === 0 && fits(record.holders, { mode, permits })) {
    const fence = nextFence(record, now)
    const holder: Holder = {
      token,
      mode,
      fence,
      fences,
      owner,
      until: now + ttlMs,
      ...(meta === undefined ? {} : { meta }),
    }
    const next: LockRecord = {
      ...record,
      fence: fence + fences - 1,
      holders: [...record.holders, holder],
      queue: record.queue.filter((place) => place.token !== token),
    }
    return { reply: grantOf(fence, next), record: next, wake: turnOf(next) }
  }
  const inTheWay = fits(record.holders, { mode, permits }) ? ahead : record.holders
  const retryAfterMs = Math.max(1, Math.min(...inTheWay.map(({ until }) => until)) - now)
  const reply: AcquireReply = { granted: false, retryAfterMs }
  if (placeMs === undefined) return { reply, wake: [] }
  const offer =
    round !== undefined && mode === 'exclusive'
      ? { offer: { round, at: now, ttlMs, fences, owner, ...(meta === undefined ? {} : { meta }) } }
      : {}
  const place: Place = { token, mode, permits, until: now + placeMs, ...offer }
  const queue = at < 0 ? [...record.queue, place] : replaced(record.queue, place)
  return { reply, record: { ...record, queue }, wake: [] }
}

/** Moves the end of a grant that has not lapsed. */
export function extend(found: LockRecord | undefined, request: ExtendRequest, now: number): Step<boolean> {
  const record = pruned(found ?? EMPTY, now)
  const held = record.holders.find((holder) => holder.token === request.token)
  if (!held) return { reply: false, wake: [] }
  const moved: Holder = {
    ...held,
    until: now + request.ttlMs,
    ...(request.meta === undefined ? {} : { meta: request.meta }),
  }
  return { reply: true, record: { ...record, holders: replaced(record.holders, moved) }, wake: [] }
}

/** Gives up the grant or the place of a token, and tries `next`. */
export function release(
  found: LockRecord | undefined,
  held: HeldLock,
  now: number,
  next?: AcquireRequest,
): Step<ReleaseReply> {
  const record = pruned(found ?? EMPTY, now)
  const released = record.holders.some((holder) => holder.token === held.token)
  const left = without(record, (token) => token === held.token)
  if (!next) {
    const { record: after, wake } = passed(left, now)
    const changed = released || left.queue.length < record.queue.length || after !== left
    return { reply: { released }, wake, ...(changed ? { record: after } : {}) }
  }
  const asked = acquire(left, next, now)
  return { reply: { released, next: asked.reply }, ...passed(asked.record ?? left, now) }
}

/** Gives a grant to another token. Asked again, it answers the same. */
export function transfer(
  found: LockRecord | undefined,
  from: HeldLock,
  to: Pick<AcquireRequest, 'token' | 'ttlMs' | 'owner' | 'meta'>,
  now: number,
): Step<Transferred | undefined> {
  const record = pruned(found ?? EMPTY, now)
  const held =
    record.holders.find((holder) => holder.token === to.token) ??
    record.holders.find((holder) => holder.token === from.token)
  if (!held) return { reply: undefined, wake: [] }
  const { mode, fence, fences } = held
  const moved: Holder = {
    token: to.token,
    mode,
    fence,
    fences,
    owner: to.owner,
    until: now + to.ttlMs,
    ...(to.meta === undefined ? {} : { meta: to.meta }),
  }
  const holders = record.holders.map((holder) => (holder.token === held.token ? moved : holder))
  return { reply: { mode, fence }, record: { ...record, holders }, wake: [] }
}

/** Takes the lock from its holders, or from the one whose grant has the fence. */
export function forceRelease(
  found: LockRecord | undefined,
  request: ForceRequest,
  now: number,
): Step<number> {
  const record = pruned(found ?? EMPTY, now)
  const { ifFence, by, reason } = request
  const losers = record.holders.filter((holder) => isMeant(holder, ifFence))
  if (losers.length === 0) return { reply: 0, wake: [] }
  const left = without(record, (token) => losers.some((loser) => loser.token === token))
  const forced = [...record.forced, ...losers.map(({ fence }) => ({ at: now, by, reason, fence }))]
  return { reply: losers.length, ...passed({ ...left, forced: forced.slice(-MAX_FORCED) }, now) }
}

/** Keeps a mark, if the token holds the lock. */
export function mark(
  found: LockRecord | undefined,
  held: HeldLock,
  text: string,
  keepMs: number,
  now: number,
): Step<boolean> {
  const record = pruned(found ?? EMPTY, now)
  if (!record.holders.some((holder) => holder.token === held.token)) return { reply: false, wake: [] }
  return { reply: true, record: { ...record, mark: { text, until: now + keepMs } }, wake: [] }
}

/** What people see. */
export function view(key: string, found: LockRecord, now: number): LockView {
  const { fence, holders, queue, forced, mark: left } = pruned(found, now)
  return {
    key,
    holders: holders.map(({ owner, mode, fence: own, meta, until }) => ({
      owner,
      mode,
      fence: own,
      remainingMs: until - now,
      ...(meta === undefined ? {} : { meta }),
    })),
    waiting: queue.length,
    forced,
    ...(fence > 0 ? { fence } : {}),
    ...(left ? { mark: left.text } : {}),
  }
}

/** Who is to be told at this moment: what a backend looks for that is not told of every change. */
export function turns(found: LockRecord, now: number): readonly Turn[] {
  const record = pruned(found, now)
  const { mark: left, holders } = record
  const grown = holders.flatMap(({ token, round, fence }) =>
    round === undefined ? [] : [{ token, granted: placeGrant(round, fence, left) }],
  )
  return [...grown, ...turnOf(record)]
}

/** Whether nothing is lost when the record is forgotten: new fences are greater by the clock alone. */
export function isIdle(record: LockRecord, now: number): boolean {
  const { fence, holders, queue, forced, mark: left } = pruned(record, now)
  if (fence >= fenceAt(now)) return false
  return holders.length === 0 && queue.length === 0 && forced.length === 0 && !left
}

function nextFence({ fence }: LockRecord, now: number): number {
  return Math.max(fence + 1, fenceAt(now))
}

/** The least fence of a grant at this time: in µs, so that it is greater than any that nobody remembers. */
function fenceAt(now: number): number {
  return Math.floor(now * 1000)
}

/** The record without what has lapsed. */
function pruned(record: LockRecord, now: number): LockRecord {
  const lives = ({ until }: { readonly until: number }) => until > now
  const { mark: left, ...rest } = record
  return {
    ...rest,
    holders: record.holders.filter(lives),
    queue: record.queue.filter(lives),
    forced: record.forced.filter(({ at }) => at > now - FORCED_KEPT_MS),
    ...(left && lives(left) ? { mark: left } : {}),
  }
}

/** Whether a request can be granted beside those who hold the lock. Who came before is not asked. */
export function fits(
  holders: readonly Pick<Holder, 'mode'>[],
  { mode, permits }: Pick<Place, 'mode' | 'permits'>,
): boolean {
  if (mode === 'exclusive') return holders.length === 0
  return holders.length < permits && !holders.some((holder) => holder.mode === 'exclusive')
}

/** Whether a forced release takes the lock from this holder: it names no fence, or one of those of the grant. */
export function isMeant({ fence, fences }: Pick<Holder, 'fence' | 'fences'>, ifFence?: number): boolean {
  return ifFence === undefined || (ifFence >= fence && ifFence < fence + fences)
}

/** The first one who waits, when it would be granted now. A grant wakes the next one, so readers follow each other. */
function turnOf({ holders, queue: [first] }: LockRecord): readonly Turn[] {
  return first && fits(holders, first) ? [{ token: first.token }] : []
}

/**
 * Makes the grant of the place whose turn it is, where that offers it, and tells its owner. It ends no later than the place:
 * who died does not keep others waiting for longer.
 */
function passed(
  record: LockRecord,
  now: number,
): { readonly record: LockRecord; readonly wake: readonly Turn[] } {
  const [first, ...queue] = record.queue
  if (!first?.offer || !fits(record.holders, first)) return { record, wake: turnOf(record) }
  const { token, mode, offer } = first
  // A step that has waited for its turn may have read the clock before the place was taken: its owner counts from there.
  const { ttlMs, at = now, ...terms } = offer
  const until = Math.min(first.until, Math.max(now, at) + ttlMs)
  const fence = nextFence(record, now)
  const holders = [...record.holders, { token, mode, fence, until, ...terms }]
  return {
    record: { ...record, fence: fence + offer.fences - 1, holders, queue },
    wake: [{ token, granted: placeGrant(offer.round, fence, record.mark) }],
  }
}

function placeGrant(round: number, fence: number, left: LockRecord['mark']): PlaceGrant {
  return { round, fence, ...(left ? { mark: left.text } : {}) }
}

function without(record: LockRecord, leaves: (token: string) => boolean): LockRecord {
  const stays = ({ token }: { readonly token: string }) => !leaves(token)
  return { ...record, holders: record.holders.filter(stays), queue: record.queue.filter(stays) }
}

function replaced<T extends { readonly token: string }>(list: readonly T[], one: T): readonly T[] {
  return list.map((other) => (other.token === one.token ? one : other))
}

function grantOf(fence: number, { mark: left }: LockRecord): AcquireReply {
  return { granted: true, fence, ...(left ? { mark: left.text } : {}) }
}
