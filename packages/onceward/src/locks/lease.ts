import { OncewardError } from '../core/errors.ts'
import { countOnMs, type Reading, readClock, sinceMs } from '../core/lease-clock.ts'
import type { HeldLock } from './lock-backend.ts'
import type { AcquireSettings, LockEngine } from './lock-options.ts'
import { writeToken } from './lock-token.ts'
import type { Lease, Released } from './lock-types.ts'

/** What was granted. */
export interface Granted {
  readonly held: HeldLock
  readonly mode: 'exclusive' | 'shared'
  readonly fence: number | undefined
  readonly mark: string | undefined
  readonly sentAt: Reading
}

/** A lease on a grant of the backend. */
export class HeldLease implements Lease {
  readonly granted: Granted
  readonly #engine: LockEngine
  #ttlMs: number
  #sentAt: Reading
  #controller: AbortController | undefined
  #lost: OncewardError | undefined
  #ended = false
  #releasing: Promise<Released> | undefined
  #cancel: () => void = () => {}
  readonly #settings: AcquireSettings

  constructor(engine: LockEngine, settings: AcquireSettings, granted: Granted) {
    this.#engine = engine
    this.#settings = settings
    this.#ttlMs = settings.ttlMs
    this.granted = granted
    this.#sentAt = granted.sentAt
    this.#schedule()
  }

  get key(): string {
    return this.granted.held.key
  }

  get fence(): number | undefined {
    return this.granted.fence
  }

  get token(): string {
    const { held, mode, fence } = this.granted
    return writeToken({ ...held, mode, fence, ttlMs: this.#ttlMs })
  }

  get signal(): AbortSignal {
    this.remainingMs()
    this.#controller ??= new AbortController()
    if (this.#lost) this.#controller.abort(this.#lost)
    return this.#controller.signal
  }

  remainingMs(): number {
    if (this.#ended || this.#lost) return 0
    const left = countOnMs(this.#ttlMs, this.#engine.backend.drift) - sinceMs(this.#engine, this.#sentAt)
    if (left <= 0) this.#lose('the lease was not extended in time')
    return Math.max(0, left)
  }

  assertHeld(): void {
    if (this.remainingMs() === 0) throw this.#lost ?? new OncewardError('LOCK_LOST', 'the lock was released')
  }

  async extend(ttlMs: number = this.#ttlMs): Promise<void> {
    this.assertHeld()
    const sentAt = readClock(this.#engine)
    const [kept] = await this.#engine.backend.extend([{ ...this.granted.held, ttlMs }])
    if (!kept) this.#lose('the backend has given it to another')
    this.assertHeld()
    this.#ttlMs = ttlMs
    this.#sentAt = sentAt
  }

  release(): Promise<Released> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => {})
  }

  async #release(): Promise<Released> {
    const wasHeld = this.remainingMs() > 0
    this.#ended = true
    this.#cancel()
    try {
      const { released } = await this.#engine.backend.release(this.granted.held)
      return released && wasHeld ? 'released' : 'not-held'
    } catch (cause) {
      this.#releasing = undefined
      throw new OncewardError('STORE_UNAVAILABLE', undefined, { cause, effect: 'unknown' })
    }
  }

  #lose(message: string): void {
    this.#cancel()
    this.#lost ??= new OncewardError('LOCK_LOST', message)
    this.#controller?.abort(this.#lost)
  }

  #schedule(): void {
    const delayMs = Math.max(1, Math.min(this.#ttlMs / 3, this.remainingMs()))
    this.#cancel = this.#engine.timers.after(
      delayMs,
      () => {
        if (this.remainingMs() === 0) return
        if (this.#settings.renew) this.extend().catch(() => {})
        this.#schedule()
      },
      { background: true },
    )
  }
}
