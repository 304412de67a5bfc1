import { isLasting } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { Alarm, type Alarms } from './alarms.ts'
import type { BackendCalls } from './backend-calls.ts'
import type { HeldLock } from './lock-backend.ts'
import type { LockEngine } from './lock-options.ts'

/** For how long a caller waits for what is cleaned up after it, in ms. It goes on without the caller. */
const BRIEFLY_MS = 500

/** For how long a request under way is waited for before its token is released, so as not to overtake it. In ms. */
const SETTLE_MS = 250

/** Gives up what tokens may have been given, over failures and lost replies, behind the callers' backs. */
export class Sweeper {
  readonly #engine: LockEngine
  readonly #calls: BackendCalls
  readonly #beats: Alarms
  readonly #waits: Alarms
  readonly #pauses = new Set<() => void>()
  readonly #sweeps = new Set<Promise<void>>()
  #stopped = false

  /**
   * @param calls - Calls that do not keep the process alive.
   * @param beats - Alarms that do not.
   * @param waits - Alarms that do.
   */
  constructor(engine: LockEngine, calls: BackendCalls, beats: Alarms, waits: Alarms) {
    this.#engine = engine
    this.#calls = calls
    this.#beats = beats
    this.#waits = waits
  }

  /**
   * Releases a token, and tries again for `forMs`: later it has lapsed by itself. Never rejects.
   *
   * @param request - A request with the token that may be under way still: it is waited for, and released again after it.
   */
  sweep(held: HeldLock, forMs: number, request?: Promise<unknown>): Promise<void> {
    const sweep = this.#sweep(held, forMs, request).finally(() => this.#sweeps.delete(sweep))
    this.#sweeps.add(sweep)
    return sweep
  }

  /** Waits for `work`, but not for long. Never rejects. */
  briefly(work: Promise<unknown>, ms: number = BRIEFLY_MS): Promise<void> {
    return this.#within(settlingOf(work), ms, this.#waits)
  }

  /** Resolves when nothing is being swept. */
  async idle(): Promise<void> {
    // An answer of this moment may begin another one.
    do await Promise.all(this.#sweeps)
    while (this.#sweeps.size > 0)
  }

  /** Tries nothing again from now on. */
  stop(): void {
    this.#stopped = true
    for (const end of this.#pauses) end()
  }

  async #sweep(held: HeldLock, forMs: number, request: Promise<unknown> | undefined): Promise<void> {
    let pending = request !== undefined
    const settled = settlingOf(request).then(() => {
      pending = false
    })
    if (pending) await this.#within(settled, SETTLE_MS, this.#beats)
    const overtaken = pending
    await this.#release(held, forMs)
    if (overtaken && !this.#stopped) {
      await settled
      await this.#release(held, forMs)
    }
  }

  async #release(held: HeldLock, forMs: number): Promise<void> {
    const { clock, random } = this.#engine
    const until = clock.monotonic() + forMs
    for (let pauseMs = 50; ; pauseMs = Math.min(2_000, pauseMs * 2)) {
      try {
        await this.#calls.run((backend) => backend.release(held))
        return
      } catch (error) {
        if (isLasting(error) || this.#stopped || clock.monotonic() >= until) return
      }
      await this.#within(undefined, jittered(random, pauseMs), this.#beats)
    }
  }

  /** Resolves when `work` has resolved, after `ms`, or when the sweeper stops. */
  #within(work: Promise<unknown> | undefined, ms: number, alarms: Alarms): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    return new Promise((resolve) => {
      const end = () => {
        this.#pauses.delete(end)
        alarms.clear(alarm)
        resolve()
      }
      const alarm = new Alarm(end)
      this.#pauses.add(end)
      alarms.set(alarm, this.#engine.clock.monotonic() + ms)
      if (work !== undefined) void work.then(end)
    })
  }
}

async function settlingOf(work: Promise<unknown> | undefined): Promise<void> {
  try {
    await work
  } catch {
    // Only that it is over counts.
  }
}
