import { failure, get, isAbsent, modifiedIs, put, remove, type TxnReply } from '../../drivers/etcd/index.ts'
import type { AcquireReply, AcquireRequest } from '../lock-backend.ts'
import { type EtcdContext, pathsOf, secondsOf } from './etcd-context.ts'
import { extendOne } from './extend.ts'
import { guards } from './guards.ts'
import type { LockPaths } from './lock-paths.ts'
import {
  FENCES_PER_REVISION,
  fenceOf,
  type HolderFacts,
  inTheWay,
  type LeasedEntry,
  type LockState,
  type PlaceEntry,
  placeText,
  readState,
  stateOf,
} from './lock-state.ts'

/** So often somebody else may be faster, before it is called a failure. */
const MAX_TRIES = 100

/** So many leases in the way are asked for their time. */
const MAX_ASKED = 8

/**
 * Grants the lock, or tells what stands in the way.
 *
 * ```
 * nothing known:     lease ──▶ txn{ nobody holds, nobody waits → put holder | read all }
 * its turn may be:   lease ──▶ txn{ nobody holds, no place is older → put holder, delete place | read all }
 * otherwise:         read all ──▶ in the way: renew or put the place
 *                             └─▶ free: lease ──▶ txn{ still free → put holder, delete place | read all }
 * ```
 *
 * Whatever a transaction finds instead is the ground of the next try.
 */
export async function acquire(context: EtcdContext, request: AcquireRequest): Promise<AcquireReply> {
  const { etcd, book, places } = context
  const { key, token, ttlMs, placeMs, fences = 1 } = request
  if (fences > FENCES_PER_REVISION) {
    throw new TypeError(`a grant of etcd has at most ${FENCES_PER_REVISION} fences, not ${fences}`)
  }
  const paths = pathsOf(context, key)
  const place = places.seen(token)
  const expectsGrant = place ? place.woken : placeMs !== undefined
  let state = expectsGrant ? undefined : await readState(etcd, paths)
  let enteredNow = false
  let spare: string | undefined
  try {
    for (let tried = 0; tried < MAX_TRIES; tried++) {
      const own = state?.holders.find((holder) => holder.token === token)
      if (state && own) {
        // Asked again: it has its grant, whose time starts anew.
        places.gone(token)
        if (await extendOne(context, { key, token, ttlMs })) return granted(own.fence, state.mark)
        state = await readState(etcd, paths)
        continue
      }
      const obstacles = state ? inTheWay(state, request) : []
      const mine = state?.queue.find((each) => each.token === token)
      if (state && obstacles.length > 0) {
        if (placeMs === undefined) return await refused(context, obstacles)
        const [kept, reply] = await Promise.all([
          mine && (enteredNow || keepPlace(context, mine, placeMs)),
          refused(context, obstacles),
        ])
        if (kept) {
          places.blocked(request, state)
          return reply
        }
        state = await takePlace(context, request, paths, placeMs)
        enteredNow = true
        continue
      }
      const lease = spare ?? (await etcd.grant(secondsOf(ttlMs)))
      spare = undefined
      const created = state ? mine?.createRevision : place?.created
      const reply = await book.during(token, lease, () =>
        etcd.txn({
          when: guards(paths, request, created, state?.revision),
          steps: [
            put(paths.holder(request.mode, token), JSON.stringify(factsOf(request)), lease),
            remove(paths.place(token)),
            get(paths.mark),
          ],
          otherwise: [get(paths.all)],
        }),
      )
      if (reply?.succeeded) return won(context, request, paths, lease, reply)
      // Without a reply the lease had ended before it was used.
      if (reply) spare = lease
      state = reply
        ? stateOf(etcd.where, paths, reply.entries[0] ?? [], reply.revision)
        : await readState(etcd, paths)
    }
  } finally {
    book.drop([spare])
  }
  throw failure('STORE_UNAVAILABLE', `${etcd.where}: others were faster ${MAX_TRIES} times; ask again`)
}

function won(
  { etcd, book, places }: EtcdContext,
  request: AcquireRequest,
  paths: LockPaths,
  lease: string,
  { entries: [, left = [], marks = []], revision }: TxnReply,
): AcquireReply {
  const { token, mode, ttlMs, meta } = request
  places.gone(token)
  book.drop(left.map((entry) => entry.lease))
  book.held.set(token, {
    path: paths.holder(mode, token),
    lease,
    seconds: secondsOf(ttlMs),
    ...(meta === undefined ? {} : { meta }),
  })
  return granted(fenceOf(revision, etcd.where), marks[0]?.value)
}

/** Keeps a place, at the end of the queue unless it has one, and answers what is known then. */
async function takePlace(
  { etcd, book }: EtcdContext,
  { token, mode }: AcquireRequest,
  paths: LockPaths,
  placeMs: number,
): Promise<LockState> {
  const seconds = secondsOf(placeMs)
  const lease = await etcd.grant(seconds)
  const path = paths.place(token)
  const reply = await book.during(token, lease, () =>
    etcd.txn({
      when: [isAbsent(path)],
      steps: [put(path, placeText(mode, seconds), lease), get(paths.all)],
      otherwise: [get(paths.all)],
    }),
  )
  if (!reply?.succeeded) book.drop([lease])
  const entries = reply?.entries.at(-1)
  return reply && entries ? stateOf(etcd.where, paths, entries, reply.revision) : readState(etcd, paths)
}

/** Starts the time of a place anew. `false` when it is gone. */
async function keepPlace(context: EtcdContext, mine: PlaceEntry, placeMs: number): Promise<boolean> {
  const { etcd, book } = context
  const seconds = secondsOf(placeMs)
  if (seconds === mine.seconds) return etcd.keepAlive(mine.lease)
  const lease = await etcd.grant(seconds)
  const reply = await book.during(mine.token, lease, () =>
    etcd.txn({
      when: [modifiedIs(mine.path, mine.modRevision)],
      steps: [put(mine.path, placeText(mine.mode, seconds), lease)],
    }),
  )
  book.drop([reply?.succeeded ? mine.lease : lease])
  return reply?.succeeded === true
}

/** Tells when the first of those in the way ends by itself. */
async function refused({ etcd }: EtcdContext, obstacles: readonly LeasedEntry[]): Promise<AcquireReply> {
  const times = await Promise.all(
    obstacles.slice(0, MAX_ASKED).map(async ({ lease, seconds }) => {
      const left = await etcd.timeToLive(lease)
      // Rounded down by etcd; a lease that is past its end is about to be deleted.
      return left === undefined ? ENDING_MS : Math.min(left + 1, seconds) * 1000
    }),
  )
  return { granted: false, retryAfterMs: Math.min(...times) }
}

/** How long etcd takes at most to delete what has lapsed, in ms. */
const ENDING_MS = 500

function factsOf({ owner, meta, fences = 1, ttlMs }: AcquireRequest): HolderFacts {
  return { owner, fences, seconds: secondsOf(ttlMs), ...(meta === undefined ? {} : { meta }) }
}

function granted(fence: number, mark: string | undefined): AcquireReply {
  return { granted: true, fence, ...(mark === undefined ? {} : { mark }) }
}
