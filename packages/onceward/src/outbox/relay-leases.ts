import { OncewardError } from '../core/errors.ts'
import { countOnMs, type Reading, readClock, sinceMs } from '../core/lease-clock.ts'
import type { RelayCalls, TakenEvent } from './relay-calls.ts'
import type { RelaySettings } from './relay-settings.ts'

/** An event that this relay has, until it is settled or lost. */
export interface Lease extends TakenEvent {
  /** Whether another relay may have it by now. */
  isLost(): boolean
  /** Whether what became of it has been sent to the database. */
  isSettling: boolean
  /** Is called at once when it is lost; one at a time. */
  onLost: ((error: OncewardError) => void) | undefined
}

/** The leases of a relay: renewed together every third of their time, and given up before the server does. */
export interface RelayLeases {
  /** How many are open. */
  readonly size: number
  /** @param sentAt - When they were asked for. */
  add(taken: readonly TakenEvent[], sentAt: Reading): readonly Lease[]
  /** They are settled. */
  end(leases: readonly Lease[]): void
  stop(): void
}

/** Makes them. */
export function relayLeases(calls: Pick<RelayCalls, 'renew'>, settings: RelaySettings): RelayLeases {
  interface Open extends Lease {
    granted: Reading
    lost: boolean
  }
  const open = new Set<Open>()
  const validMs = countOnMs(settings.leaseMs)
  let cancelTimer: (() => void) | undefined
  let isRenewing = false
  /** Whether the next renewal is due while one is on its way. */
  let isDue = false
  let stopped = false

  const lose = (lease: Open) => {
    if (lease.lost) return
    lease.lost = true
    open.delete(lease)
    settings.emit({
      type: 'lost',
      ids: lease.event ? [lease.event.id] : [],
      attempt: lease.holding.attempt,
    })
    lease.onLost?.(
      new OncewardError('CLAIM_LOST', 'the lease of the event was lost; another relay publishes it again'),
    )
  }
  const look = (lease: Open): boolean => {
    if (!lease.lost && open.has(lease) && sinceMs(settings, lease.granted) >= validMs) lose(lease)
    return lease.lost
  }
  const renew = async () => {
    isDue = isRenewing
    if (isRenewing) return
    isRenewing = true
    const asked = [...open]
    const sentAt = readClock(settings)
    try {
      const lost = new Set(await calls.renew(asked.map(({ holding }) => holding)))
      for (const lease of asked) {
        if (lost.has(lease.holding)) {
          // Settled meanwhile, it is not lost. While that is on its way, its answer tells.
          if (open.has(lease) && !lease.isSettling) lose(lease)
        } else if (!look(lease)) lease.granted = sentAt
      }
    } catch (error) {
      settings.emit({ type: 'error', ids: [], error })
    } finally {
      isRenewing = false
      if (isDue && !stopped && open.size > 0) void renew()
    }
  }
  const lookIn = (ms: number) => {
    cancelTimer?.()
    cancelTimer = settings.timers.after(Math.max(1, ms), () => {
      cancelTimer = undefined
      for (const lease of [...open]) look(lease)
      if (open.size > 0) void renew()
      schedule()
    })
  }
  const schedule = () => {
    if (cancelTimer || stopped || open.size === 0) return
    const leftMs = Math.min(...[...open].map(({ granted }) => validMs - sinceMs(settings, granted)))
    lookIn(Math.min(settings.leaseMs / 3, leftMs))
  }

  return {
    get size() {
      return open.size
    },
    add(taken, sentAt) {
      const leases = taken.map((one): Open => {
        const lease: Open = {
          ...one,
          granted: sentAt,
          lost: false,
          isSettling: false,
          onLost: undefined,
          isLost: () => look(lease),
        }
        return lease
      })
      for (const lease of leases) open.add(lease)
      // What was given late has little left of its time: it is renewed at once.
      if (!stopped && sinceMs(settings, sentAt) >= settings.leaseMs / 3) lookIn(1)
      else schedule()
      return leases
    },
    end(leases) {
      for (const lease of leases) open.delete(lease as Open)
      if (open.size > 0) return
      cancelTimer?.()
      cancelTimer = undefined
    },
    stop() {
      stopped = true
      cancelTimer?.()
      cancelTimer = undefined
      open.clear()
    },
  }
}
