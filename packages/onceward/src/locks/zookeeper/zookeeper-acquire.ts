import type { AcquireReply, AcquireRequest } from '../lock-backend.ts'
import { fits } from '../lock-transitions.ts'
import { failure } from './zookeeper-errors.ts'
import { extendOne } from './zookeeper-extend.ts'
import { done, type ZkStep } from './zookeeper-link.ts'
import type { ZookeeperPaths } from './zookeeper-paths.ts'
import {
  checkTtl,
  creation,
  type HolderFacts,
  holderOf,
  leftIn,
  markIn,
  pathsOf,
  placeEnds,
  readLock,
  removal,
  type ZkLock,
  type ZkPlace,
  type ZookeeperContext,
} from './zookeeper-state.ts'
import type { Obstacle } from './zookeeper-waiters.ts'

/** So often somebody else may be faster, before it is called a failure. */
const MAX_TRIES = 100

/** Grants the lock, or tells what stands in the way. */
export async function acquire(context: ZookeeperContext, request: AcquireRequest): Promise<AcquireReply> {
  const { link, waiters } = context
  const { key, token, ttlMs, placeMs, fences = 1 } = request
  checkTtl(context, ttlMs)
  if (fences !== 1) throw new TypeError(`a grant of ZooKeeper has one fence, not ${fences}`)
  const paths = pathsOf(context, key)
  if (!waiters.has(token)) {
    // Who has no place yet most often finds the lock free, and unknown to ZooKeeper.
    const granted = (await grant(context, request, paths)) ?? (await grant(context, request, paths, {}))
    if (granted) return granted
  }
  for (let tried = 0; tried < MAX_TRIES; tried++) {
    const lock = await readLock(context, key)
    const own = lock.holders.find((holder) => holder.token === token)
    if (own) {
      // Asked again: it has its grant, whose time starts anew.
      if (!(await extendOne(context, { key, token, ttlMs }))) continue
      return replyOf(own.fence, markIn(lock.left, lock.now))
    }
    for (const each of lock.lapsed) await link.multi(removal(each))
    const mine = await livingPlace(context, request, lock)
    const way = await inTheWay(context, request, lock, mine)
    if (!way) {
      const granted = await grant(context, request, paths, { lock, ...(mine ? { mine } : {}) })
      if (granted) return granted
      continue
    }
    const retryAfterMs = Math.max(1, way.until - lock.now)
    if (placeMs === undefined) return { granted: false, retryAfterMs }
    if (mine && (await keepPlace(context, mine, placeMs))) {
      waiters.blocked(token, way.obstacle, () => lookAgain(context, request))
      return { granted: false, retryAfterMs }
    }
    await takePlace(context, request, paths, placeMs)
  }
  throw failure('STORE_UNAVAILABLE', `${link.where}: others were faster ${MAX_TRIES} times; ask again`)
}

/** What a request was found to stand on. */
interface Ground {
  readonly lock?: ZkLock
  readonly mine?: ZkPlace
}

/**
 * Tries to grant in one transaction.
 *
 * @param ground - What was found: nothing, for a lock that ZooKeeper does not know; otherwise its nodes are there.
 * @returns nothing when something stands in the way.
 */
async function grant(
  context: ZookeeperContext,
  request: AcquireRequest,
  paths: ZookeeperPaths,
  ground?: Ground,
): Promise<AcquireReply | undefined> {
  const { link, book, waiters, clock } = context
  const { token, mode, owner, meta, ttlMs } = request
  const path = paths.holder(token)
  const guard = paths.guard(request, freeSlot(request, ground?.lock?.slots ?? []))
  const facts: HolderFacts = { mode, guard, owner, ttlMs, ...(meta === undefined ? {} : { meta }) }
  const unknown = ground === undefined || (ground.lock && ground.lock.left.version === undefined)
  const before = unknown ? creation(paths) : []
  const asked = clock.monotonic()
  const [reply, node] = await Promise.all([
    link.multi([
      ...before,
      { create: path, mode: 'ephemeral' },
      // The write takes the version to 1, and its answer tells the time and what created the node.
      { set: path, data: JSON.stringify(facts) },
      ...proofOfHolders(request, paths, guard),
      ...proofOfQueue(request, paths, ground),
    ]),
    unknown ? undefined : link.get(paths.lock),
  ])
  const stat = done(reply) ? reply[before.length + 1]?.stat : undefined
  if (!stat) return undefined
  waiters.gone(token)
  const held = holderOf(token, path, facts, stat)
  book.set(token, { ...held, sureUntil: asked + ttlMs })
  return replyOf(held.fence, markIn(leftIn(node), held.until - ttlMs))
}

/** Steps that fail when somebody holds the lock in a way that excludes the request. */
function proofOfHolders({ mode }: AcquireRequest, paths: ZookeeperPaths, guard: string): readonly ZkStep[] {
  const own: ZkStep = { create: guard, mode: 'ephemeral' }
  if (mode === 'exclusive') return [own, { remove: paths.shared }, { create: paths.shared }]
  return [{ create: paths.exclusive }, { remove: paths.exclusive }, own]
}

/**
 * Steps that fail when somebody came before. With a place, what was read of those before it is enough: none can come. Who
 * may overtake does so only after a look, since it may have a place by another connection.
 */
function proofOfQueue(
  { overtake = false }: AcquireRequest,
  paths: ZookeeperPaths,
  ground: Ground | undefined,
): readonly ZkStep[] {
  if (ground?.mine) return [{ remove: ground.mine.path }]
  return overtake && ground?.lock ? [] : [{ remove: paths.queue }, { create: paths.queue }]
}

/** One of the permits that nobody has. Different tokens prefer different ones. */
function freeSlot({ token, permits }: AcquireRequest, taken: readonly string[]): number {
  if (permits === Infinity) return 0
  let preferred = 0
  for (let at = 0; at < token.length; at++) preferred = (preferred * 31 + token.charCodeAt(at)) % permits
  for (let next = 0; next < permits; next++) {
    const slot = (preferred + next) % permits
    if (!taken.includes(String(slot))) return slot
  }
  return preferred
}

/** The place of the request, unless it has lapsed: then it is removed, and the request is like a new one. */
async function livingPlace(
  context: ZookeeperContext,
  { token }: AcquireRequest,
  { queue, now }: ZkLock,
): Promise<ZkPlace | undefined> {
  const mine = queue.find((place) => place.token === token)
  if (!mine) return undefined
  const until = await placeEnds(context, mine)
  if (until !== undefined && until > now) return mine
  await context.link.multi([{ remove: mine.path }])
  return undefined
}

/** What stands in the way, and when it ends by itself. Places that have lapsed are removed on the way. */
async function inTheWay(
  context: ZookeeperContext,
  request: AcquireRequest,
  { holders, queue, now }: ZkLock,
  mine: ZkPlace | undefined,
): Promise<{ readonly until: number; readonly obstacle: Obstacle } | undefined> {
  const { overtake = false, token } = request
  const at = mine ? queue.indexOf(mine) : queue.length
  const ahead = overtake ? [] : queue.slice(0, at).filter((place) => place.token !== token)
  const before = ahead.at(-1)
  const paths = pathsOf(context, request.key)
  const held = holders.map(({ facts }) => facts)
  if (!fits(held, request)) {
    const [only] = holders
    const obstacle: Obstacle = before
      ? { node: before.path, last: false }
      : only && holders.length === 1
        ? { node: only.path, last: true }
        : { anyOf: paths.shared }
    return { until: Math.min(...holders.map(({ until }) => until)), obstacle }
  }
  for (const place of ahead) {
    const until = await placeEnds(context, place)
    if (until !== undefined && until > now) {
      return { until, obstacle: { node: before?.path ?? place.path, last: false } }
    }
    if (until !== undefined) await context.link.multi([{ remove: place.path }])
  }
  return undefined
}

/** What stands in the way now of a request that has a place; nothing when it should ask. */
async function lookAgain(context: ZookeeperContext, request: AcquireRequest): Promise<Obstacle | undefined> {
  const lock = await readLock(context, request.key)
  const mine = lock.queue.find(({ token }) => token === request.token)
  return mine && (await inTheWay(context, request, lock, mine))?.obstacle
}

/** Starts the time of a place anew. `false` when it is gone. */
async function keepPlace({ link }: ZookeeperContext, { path }: ZkPlace, placeMs: number): Promise<boolean> {
  return typeof (await link.set(path, JSON.stringify({ placeMs }))) !== 'string'
}

/** Keeps a place at the end of the queue. */
async function takePlace(
  { link }: ZookeeperContext,
  { token, mode }: AcquireRequest,
  paths: ZookeeperPaths,
  placeMs: number,
): Promise<void> {
  const place = paths.place(mode, token)
  const steps: readonly ZkStep[] = [
    { create: place, data: JSON.stringify({ placeMs }), mode: 'ephemeral-sequential' },
  ]
  const reply = await link.multi(steps)
  // The lock was forgotten meanwhile.
  if (reply === 'no-node') await link.multi([...creation(paths), ...steps])
}

function replyOf(fence: number, mark: string | undefined): AcquireReply {
  return { granted: true, fence, ...(mark === undefined ? {} : { mark }) }
}
