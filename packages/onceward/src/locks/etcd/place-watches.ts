import type { Timers } from '../../core/clock.ts'
import type { EtcdClient } from '../../drivers/etcd/index.ts'
import type { AcquireRequest, HeldLock } from '../lock-backend.ts'
import { lockPaths } from './lock-paths.ts'
import { inTheWay, type LockState, readState } from './lock-state.ts'

/** A place among the waiters that this process has taken. */
interface Waiting {
  /** Revision that created the place. */
  readonly created: number
  readonly request: AcquireRequest
  /** Its turn may have come since it was last asked for. */
  woken: boolean
  /** What it waits for to go. */
  obstacle?: Obstacle
  stop?: AbortController
}

interface Obstacle {
  readonly path: string
  /** What is known of it. */
  readonly revision: number
  /** Nothing else stands in the way. */
  readonly last: boolean
}

/** Watches what stands in the way of each place, and nothing else. */
export interface PlaceWatches {
  /** The place of a token, as it was last seen. */
  seen(token: string): { readonly created: number; readonly woken: boolean } | undefined
  /** Tells that a request with a place was not granted, and what has been found. */
  blocked(request: AcquireRequest, state: LockState): void
  /** Tells that the token waits no more. */
  gone(token: string): void
  listen(held: HeldLock, wake: () => void): () => void
  close(): void
}

/** After a stream breaks, this long until the next, in ms. Whoever waits asks now and then meanwhile. */
const AGAIN_MS = 500

/**
 * Makes the watches of one process: a stream for each place that somebody listens for. A deletion that a broken stream has
 * missed is told by the next one.
 */
export function placeWatches(etcd: EtcdClient, prefix: string, timers: Timers): PlaceWatches {
  const places = new Map<string, Waiting>()
  const listeners = new Map<string, Set<() => void>>()

  /** Follows the obstacle of a place while somebody listens. */
  function follow(token: string): void {
    const place = places.get(token)
    if (!place?.obstacle || place.stop || !listeners.has(token)) return
    const { obstacle } = place
    const stop = new AbortController()
    place.stop = stop
    let gone = false
    const onDelete = () => {
      gone = true
      stop.abort()
    }
    const mine = () => places.get(token) === place && place.stop === stop
    etcd
      .watchDeletes(obstacle.path, obstacle.revision, onDelete, stop.signal)
      .then(() => (gone && mine() ? moved(token, place, obstacle) : undefined))
      .catch(() => {
        // Deletions are told from the known revision on, so none is missed by a pause.
        const cancel = timers.after(AGAIN_MS, () => {
          if (!mine()) return
          delete place.stop
          follow(token)
        })
        stop.signal.addEventListener('abort', cancel)
      })
  }

  /** Something in the way has gone: wakes whoever listens if it was the last, or looks who is in the way now. */
  async function moved(token: string, place: Waiting, obstacle: Obstacle): Promise<void> {
    if (!obstacle.last) {
      const state = await readState(etcd, lockPaths(prefix, place.request.key))
      if (places.get(token) !== place) return
      if (inTheWay(state, place.request).length > 0) {
        delete place.stop
        arm(place, state)
        return
      }
    }
    place.woken = true
    for (const wake of listeners.get(token) ?? []) wake()
  }

  function arm(place: Waiting, state: LockState): void {
    const obstacle = obstacleOf(state, place.request, prefix)
    if (place.stop && place.obstacle?.path === obstacle.path && !place.stop.signal.aborted) return
    place.stop?.abort()
    delete place.stop
    place.obstacle = obstacle
    follow(place.request.token)
  }

  function quiet(token: string): void {
    const place = places.get(token)
    place?.stop?.abort()
    if (place) delete place.stop
  }

  return {
    seen: (token) => places.get(token),
    blocked(request, state) {
      const mine = state.queue.find(({ token }) => token === request.token)
      if (!mine) return
      const known = places.get(request.token)
      const place =
        known?.created === mine.createRevision
          ? known
          : { created: mine.createRevision, request, woken: false }
      if (known && known !== place) known.stop?.abort()
      place.woken = false
      places.set(request.token, place)
      arm(place, state)
    },
    gone(token) {
      quiet(token)
      places.delete(token)
    },
    listen({ token }, wake) {
      const set = listeners.get(token) ?? new Set()
      listeners.set(token, set.add(wake))
      follow(token)
      return () => {
        set.delete(wake)
        if (set.size > 0 || listeners.get(token) !== set) return
        listeners.delete(token)
        quiet(token)
      }
    },
    close() {
      for (const token of places.keys()) quiet(token)
      places.clear()
      listeners.clear()
    },
  }
}

/** The one thing to watch: the place before, or for the first one whoever holds the lock. */
function obstacleOf(state: LockState, request: AcquireRequest, prefix: string): Obstacle {
  const { revision, holders, queue } = state
  const at = queue.findIndex(({ token }) => token === request.token)
  const before = request.overtake ? undefined : queue[at - 1]
  if (before) return { path: before.path, revision, last: false }
  const [only] = holders
  return only && holders.length === 1
    ? { path: only.path, revision, last: true }
    : { path: lockPaths(prefix, request.key).held, revision, last: false }
}
