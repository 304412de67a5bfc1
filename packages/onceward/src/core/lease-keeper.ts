import { OncewardError } from './errors.ts'
import { countOnMs, type Reading, readClock, sinceMs } from './lease-clock.ts'
import type { Claim } from './operation.ts'
import type { Engine } from './settings.ts'

/** Keeps one claim alive while its work runs, and knows when it can no longer be sure of it. */
export interface LeaseKeeper {
  /** Aborts with `CLAIM_LOST`; reading it looks at the clock first. */
  readonly signal: AbortSignal
  /** Whether the claim may be lost by now. */
  isLost(): boolean
  /** Stops renewing. */
  stop(): void
}

/** Whether a claim that was asked for at `sentAt` may have lapsed before its grant was heard of. */
export function isSpent(engine: Engine, leaseMs: number, sentAt: Reading): boolean {
  return sinceMs(engine, sentAt) >= countOnMs(leaseMs)
}

/**
 * Renews a claim every third of its lease, and aborts `signal` at this process's own deadline.
 *
 * ```
 *  sent ──▶ granted on the store                     lease ends on the store
 *   │          │                                          │
 *   ├──────────┼── leaseMs − drift ──▶ own deadline       │      the deadline counts from *before* the request was
 *   │          └────────────── leaseMs ──────────────────▶│      sent, so it always comes first
 * ```
 *
 * A renewal that answers moves the deadline to its own sending time; one that fails or never answers moves nothing.
 * `onLost` is called once, when the claim may be lost.
 */
export function keepLease(
  engine: Engine,
  claim: Claim,
  leaseMs: number,
  sentAt: Reading,
  onLost: () => void,
): LeaseKeeper {
  // Most work never looks at its signal, and an AbortController is dear: it is made when somebody does.
  let controller: AbortController | undefined
  let lostWith: OncewardError | undefined
  const validMs = countOnMs(leaseMs)
  const beatMs = leaseMs / 3
  let granted = sentAt
  let cancelTimer = () => {}
  let stopped = false

  const lose = (message: string) => {
    if (stopped || lostWith) return
    cancelTimer()
    engine.emit('claim-lost', claim.id, { attempt: claim.attempt, fence: claim.fence, message })
    lostWith = new OncewardError('CLAIM_LOST', message)
    controller?.abort(lostWith)
    onLost()
  }
  const elapsedMs = () => sinceMs(engine, granted)
  const isLost = () => {
    if (!lostWith && !stopped && elapsedMs() >= validMs) {
      lose('the claim was not renewed in time, so another caller may be given the operation')
    }
    return lostWith !== undefined
  }
  const beat = async () => {
    const sent = readClock(engine)
    try {
      const kept = await engine.store.renew(claim, leaseMs)
      if (isLost() || stopped) return
      if (kept) granted = sent.monotonic > granted.monotonic ? sent : granted
      else lose('the store has given the operation to another caller, or has ended it')
    } catch (error) {
      if (!stopped)
        engine.emit('renew-failed', claim.id, { attempt: claim.attempt, fence: claim.fence, error })
    }
  }
  const schedule = () => {
    const delayMs = Math.max(1, Math.min(beatMs, validMs - elapsedMs()))
    cancelTimer = engine.timers.after(
      delayMs,
      () => {
        if (stopped || isLost()) return
        void beat()
        schedule()
      },
      { background: true },
    )
  }
  schedule()

  return {
    get signal() {
      isLost()
      controller ??= new AbortController()
      if (lostWith) controller.abort(lostWith)
      return controller.signal
    },
    isLost,
    stop() {
      stopped = true
      cancelTimer()
    },
  }
}
