import { get, modifiedIs, put, putsAreBefore, remove } from '../../drivers/etcd/index.ts'
import type { ForceRequest, LockView } from '../lock-backend.ts'
import { FORCED_KEPT_MS, MAX_FORCED } from '../lock-record.ts'
import { isMeant } from '../lock-transitions.ts'
import { type EtcdContext, pathsOf, secondsOf } from './etcd-context.ts'
import { readState, stateOf } from './lock-state.ts'

/** What people may see of a lock. */
export async function inspect(context: EtcdContext, key: string): Promise<LockView | undefined> {
  const { etcd } = context
  const { holders, queue, mark, forced } = await readState(etcd, pathsOf(context, key))
  const left = await Promise.all(holders.map(({ lease }) => etcd.timeToLive(lease)))
  if (holders.length === 0 && queue.length === 0 && mark === undefined && forced.length === 0)
    return undefined
  // Nobody was granted the lock after one who holds it alone. Of others who came and went nothing is remembered.
  const alone = holders.find(({ mode }) => mode === 'exclusive')
  return {
    key,
    holders: holders.flatMap(({ owner, mode, fence, meta }, at) => {
      const seconds = left[at]
      if (seconds === undefined) return []
      // etcd tells whole seconds, rounded down.
      const remainingMs = Math.max(1, seconds * 1000)
      return [{ owner, mode, fence, remainingMs, ...(meta === undefined ? {} : { meta }) }]
    }),
    waiting: queue.length,
    forced,
    ...(alone ? { fence: alone.fence + alone.fences - 1 } : {}),
    ...(mark === undefined ? {} : { mark }),
  }
}

/** Takes the lock from its holders, or from the one whose grant has the fence. */
export async function forceRelease(context: EtcdContext, request: ForceRequest): Promise<number> {
  const { etcd, book, clock } = context
  const { key, ifFence, by, reason } = request
  const paths = pathsOf(context, key)
  let state = await readState(etcd, paths)
  for (;;) {
    const losers = state.holders.filter((holder) => isMeant(holder, ifFence))
    if (losers.length === 0) return 0
    const at = clock.now()
    const forced = [
      ...state.forced.filter((each) => each.at > at - FORCED_KEPT_MS),
      ...losers.map(({ fence }) => ({ at, by, reason, fence })),
    ]
    const lease = await etcd.grant(secondsOf(FORCED_KEPT_MS))
    const reply = await etcd.txn({
      when: [
        putsAreBefore(paths.held, state.revision),
        putsAreBefore(paths.forced, state.revision),
        ...(ifFence === undefined
          ? []
          : losers.map(({ path, modRevision }) => modifiedIs(path, modRevision))),
      ],
      steps: [
        put(paths.forced, JSON.stringify(forced.slice(-MAX_FORCED)), lease),
        ...(ifFence === undefined ? [remove(paths.held)] : losers.map(({ path }) => remove(path))),
      ],
      otherwise: [get(paths.all)],
    })
    if (reply?.succeeded) {
      book.drop(reply.entries.flat().map((entry) => entry.lease))
      return losers.length
    }
    book.drop([lease])
    state = reply
      ? stateOf(etcd.where, paths, reply.entries[0] ?? [], reply.revision)
      : await readState(etcd, paths)
  }
}
