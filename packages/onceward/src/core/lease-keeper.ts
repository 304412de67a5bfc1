import { OncewardError } from './errors.ts'
import { countOnMs, type Reading, readClock, sinceMs } from './lease-clock.ts'
import type { Claim } from './operation.ts'
import type { Engine } from './settings.ts'

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
 */
export class LeaseKeeper {
  readonly #engine: Engine
  readonly #claim: Claim
  readonly #leaseMs: number
  readonly #onLost: () => void
  #granted: Reading
  // Most work never looks at its signal, and an AbortController is dear: it is made when somebody does.
  #controller: AbortController | undefined
  #lostWith: OncewardError | undefined
  #cancelTimer: (() => void) | undefined
  #stopped = false

  /**
   * Begins to renew.
   *
   * @param onLost - Called once, when the claim may be lost.
   */
  constructor(engine: Engine, claim: Claim, leaseMs: number, sentAt: Reading, onLost: () => void) {
    this.#engine = engine
    this.#claim = claim
    this.#leaseMs = leaseMs
    this.#granted = sentAt
    this.#onLost = onLost
    this.#schedule()
  }

  /** Aborts with `CLAIM_LOST`; reading it looks at the clock first. */
  get signal(): AbortSignal {
    this.isLost()
    this.#controller ??= new AbortController()
    if (this.#lostWith) this.#controller.abort(this.#lostWith)
    return this.#controller.signal
  }

  /** Whether the claim may be lost by now. */
  isLost(): boolean {
    if (!this.#lostWith && !this.#stopped && isSpent(this.#engine, this.#leaseMs, this.#granted)) {
      this.#lose('the claim was not renewed in time, so another caller may be given the operation')
    }
    return this.#lostWith !== undefined
  }

  /** Stops renewing. */
  stop(): void {
    this.#stopped = true
    this.#cancelTimer?.()
  }

  #lose(message: string): void {
    if (this.#stopped || this.#lostWith) return
    this.#cancelTimer?.()
    this.#tell('claim-lost', { message })
    this.#lostWith = new OncewardError('CLAIM_LOST', message)
    this.#controller?.abort(this.#lostWith)
    this.#onLost()
  }

  async #beat(): Promise<void> {
    const sent = readClock(this.#engine)
    try {
      const kept = await this.#engine.store.renew(this.#claim, this.#leaseMs)
      if (this.isLost() || this.#stopped) return
      if (!kept) this.#lose('the store has given the operation to another caller, or has ended it')
      else if (sent.monotonic > this.#granted.monotonic) this.#granted = sent
    } catch (error) {
      if (!this.#stopped) this.#tell('renew-failed', { error })
    }
  }

  #tell(
    type: 'claim-lost' | 'renew-failed',
    details: { readonly message?: string; readonly error?: unknown },
  ): void {
    const { id, attempt, fence } = this.#claim
    this.#engine.emit(type, id, { attempt, fence, ...details })
  }

  #schedule(): void {
    const leftMs = countOnMs(this.#leaseMs) - sinceMs(this.#engine, this.#granted)
    const delayMs = Math.max(1, Math.min(this.#leaseMs / 3, leftMs))
    const next = () => {
      if (this.#stopped || this.isLost()) return
      void this.#beat()
      this.#schedule()
    }
    this.#cancelTimer = this.#engine.timers.after(delayMs, next, { background: true })
  }
}
