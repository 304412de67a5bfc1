import type { ForceRequest, LockView } from '../lock-backend.ts'
import { FORCED_KEPT_MS, MAX_FORCED } from '../lock-record.ts'
import { done } from './zookeeper-link.ts'
import {
  type Left,
  markIn,
  pathsOf,
  placeEnds,
  readLock,
  removal,
  type ZookeeperContext,
} from './zookeeper-state.ts'

/** What people may see of a lock. */
export async function inspect(context: ZookeeperContext, key: string): Promise<LockView | undefined> {
  const { now, holders, queue, left } = await readLock(context, key)
  const ends = await Promise.all(queue.map((place) => placeEnds(context, place)))
  const waiting = ends.filter((until = 0) => until > now).length
  const text = markIn(left, now)
  const forced = left.forced.filter(({ at }) => at > now - FORCED_KEPT_MS)
  if (holders.length === 0 && waiting === 0 && forced.length === 0 && text === undefined) return undefined
  // Nobody was granted the lock after one who holds it alone. Of others who came and went nothing is remembered.
  const alone = holders.find(({ facts }) => facts.mode === 'exclusive')
  return {
    key,
    holders: holders.map(({ facts: { owner, mode, meta }, fence, until }) => ({
      owner,
      mode,
      fence,
      remainingMs: until - now,
      ...(meta === undefined ? {} : { meta }),
    })),
    waiting,
    forced,
    ...(alone ? { fence: alone.fence } : {}),
    ...(text === undefined ? {} : { mark: text }),
  }
}

/** Takes the lock from its holders, or from the one whose grant has the fence. */
export async function forceRelease(
  context: ZookeeperContext,
  { key, ifFence, by, reason }: ForceRequest,
): Promise<number> {
  const { link } = context
  const paths = pathsOf(context, key)
  for (;;) {
    const { now, holders, left } = await readLock(context, key)
    const losers = holders.filter(({ fence }) => ifFence === undefined || ifFence === fence)
    if (losers.length === 0 || left.version === undefined) return 0
    const { version, mark, forced } = left
    const all = [
      ...forced.filter(({ at }) => at > now - FORCED_KEPT_MS),
      ...losers.map(({ fence }) => ({ at: now, by, reason, fence })),
    ]
    const kept: Left = { forced: all.slice(-MAX_FORCED), ...(mark && mark.until > now ? { mark } : {}) }
    const reply = await link.multi([
      { set: paths.lock, data: JSON.stringify(kept), version },
      ...losers.flatMap(removal),
    ])
    if (done(reply)) return losers.length
  }
}
