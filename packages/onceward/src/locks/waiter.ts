import type { AbortWatch } from '../core/patience.ts'
import { Alarm, type Alarms } from './alarms.ts'
import type { HeldLease } from './lease.ts'
import type { AcquireSettings } from './lock-options.ts'

/** What ends a wait before its time. */
export type WaitEnd = 'over' | 'aborted'

/** One caller who waits for a lock. */
export class Waiter {
  readonly settings: AcquireSettings
  /** On the monotonic clock. */
  readonly since: number
  readonly lease: Promise<HeldLease>
  /** Whether observers know that it waits. */
  told = false
  #resolve: (lease: HeldLease) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  readonly #alarms: Alarms
  readonly #alarm: Alarm
  #forget: (() => void) | undefined

  /** @param leave - Is told when the caller will wait no longer. */
  constructor(
    settings: AcquireSettings,
    now: number,
    alarms: Alarms,
    aborts: AbortWatch,
    leave: (waiter: Waiter, why: WaitEnd) => void,
  ) {
    this.settings = settings
    this.since = now
    this.lease = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#alarms = alarms
    this.#alarm = new Alarm(() => leave(this, 'over'))
    alarms.set(this.#alarm, now + settings.waitMs)
    const { signal } = settings
    if (signal) this.#forget = aborts.add(signal, () => leave(this, 'aborted'))
  }

  /** Frees the timer and the listener. */
  end(): void {
    this.#alarms.clear(this.#alarm)
    this.#forget?.()
  }

  resolve(lease: HeldLease): void {
    this.end()
    this.#resolve(lease)
  }

  reject(error: unknown): void {
    this.end()
    this.#reject(error)
  }
}
