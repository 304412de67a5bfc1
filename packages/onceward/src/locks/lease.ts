import { OncewardError } from '../core/errors.ts'
import type { Grant } from './grant.ts'
import type { HeldLock } from './lock-backend.ts'
import type { HoldSettings } from './lock-options.ts'
import { writeToken } from './lock-token.ts'
import type { Lease, Released } from './lock-types.ts'

/** What a lease needs of the instance that it belongs to. */
export interface LeaseHome {
  leftMs(grant: Grant): number
  /** Checks `ttlMs`. @throws `TypeError`. */
  extend(grant: Grant, ttlMs: number): Promise<boolean>
  /** Gives the grant back, or to the next one who waits for it. */
  finish(lease: HeldLease): Promise<Released>
  /** Gives back, without anybody's help, what may be left of a grant. */
  sweep(grant: Grant): void
  /** Waits for `work`, but not for long. */
  briefly(work: Promise<unknown>): Promise<void>
  releaseFailed(lease: HeldLease, error: unknown): void
  /** Now, on the monotonic clock. */
  now(): number
  nonce(): string
}

/** A lease on a grant of the backend. */
export class HeldLease implements Lease {
  readonly fence: number | undefined
  readonly maxHoldMs: number
  /** Whether the watchdog extends it. */
  renews: boolean
  readonly #home: LeaseHome
  // Whatever prints a lease must not print the right to it.
  readonly #grant: Grant
  readonly #since: number
  #state: 'held' | 'lost' | 'released' = 'held'
  #loss: OncewardError | undefined
  // Most work never looks at its signal, and an AbortController is dear: it is made when somebody does.
  #controller: AbortController | undefined
  #releasing: Promise<Released> | undefined
  #token: string | undefined

  constructor(home: LeaseHome, grant: Grant, { renew, maxHoldMs }: HoldSettings) {
    this.#home = home
    this.#grant = grant
    this.fence = grant.fence
    this.renews = renew
    this.maxHoldMs = maxHoldMs
    this.#since = home.now()
  }

  get grant(): Grant {
    return this.#grant
  }

  get key(): string {
    return this.grant.held.key
  }

  /** As the backend knows it. */
  get held(): HeldLock {
    return this.grant.held
  }

  /** What the holder before has left with the key, as it was when the lock was granted. */
  get mark(): string | undefined {
    return this.grant.mark
  }

  get token(): string {
    if (!this.#token) {
      const { held, mode, ttlMs } = this.grant
      // A grant outlives a lease that was handed over; a lease that has ended is the right to nothing.
      const token = this.#state === 'held' ? held.token : this.#home.nonce()
      this.#token = writeToken({ key: held.key, token, mode, ttlMs, fence: this.fence })
      if (this.#state === 'held') this.grant.shown = true
    }
    return this.#token
  }

  get signal(): AbortSignal {
    this.remainingMs()
    this.#controller ??= new AbortController()
    if (this.#loss) this.#controller.abort(this.#loss)
    return this.#controller.signal
  }

  remainingMs(): number {
    return this.#state === 'held' ? this.#home.leftMs(this.grant) : 0
  }

  assertHeld(): void {
    if (this.remainingMs() > 0) return
    throw (
      this.#loss ??
      new OncewardError('LOCK_LOST', `the lock ${JSON.stringify(this.key)} was released here before`)
    )
  }

  async extend(ttlMs: number = this.grant.ttlMs): Promise<void> {
    this.assertHeld()
    await this.#home.extend(this.grant, ttlMs)
    this.assertHeld()
  }

  release(): Promise<Released> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const releasing = this.release()
    releasing.catch((error: unknown) => {
      this.#home.releaseFailed(this, error)
      this.#home.sweep(this.grant)
    })
    await this.#home.briefly(releasing)
  }

  /** What may be printed: everything but the right to the lease. */
  toJSON(): object {
    const { key, fence } = this
    return { key, ...(fence === undefined ? {} : { fence }), remainingMs: this.remainingMs() }
  }

  /** How long it has been held, in ms. */
  heldMs(now: number = this.#home.now()): number {
    return now - this.#since
  }

  /** Is told that it may be lost. */
  lose(loss: OncewardError): void {
    if (this.#state !== 'held') return
    this.#state = 'lost'
    this.#loss = loss
    this.#controller?.abort(loss)
  }

  async #release(): Promise<Released> {
    if (this.remainingMs() === 0 && this.#state === 'lost') {
      // The backend may not have noticed: an extension of which nobody heard may have kept it.
      this.#home.sweep(this.grant)
      return 'not-held'
    }
    this.#state = 'released'
    try {
      return await this.#home.finish(this)
    } catch (error) {
      this.#releasing = undefined
      throw error
    }
  }
}
