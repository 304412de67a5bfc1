import { OncewardError } from '../core/errors.ts'
import { readClock } from '../core/lease-clock.ts'
import type { Asked } from './contention.ts'
import type { Grant, GrantTerms } from './grant.ts'
import { HeldLease, type LeaseHome } from './lease.ts'
import { LocalQueue, type LockTarget, type QueueHome, requestOf, suits, timeoutError } from './local-queue.ts'
import { type AcquireSettings, checkTtl } from './lock-options.ts'
import type { LockParts } from './lock-parts.ts'
import type { Released } from './lock-types.ts'
import type { Waiter } from './waiter.ts'
import type { Watchdog } from './watchdog.ts'

/** The part of its time that a grant must have left to be handed over as it is. */
const FRESH_PART = 0.75

/** What an instance holds and waits for. */
export class Holdings implements QueueHome, LeaseHome {
  readonly parts: LockParts
  readonly handovers: number
  readonly #watchdog: Watchdog
  readonly #queues = new Map<string, LocalQueue>()
  /** Of those who wait beside the queues: readers, and those who overtake. */
  readonly #aside = new Set<LocalQueue>()
  #closed: OncewardError | undefined

  constructor(parts: LockParts, watchdog: Watchdog) {
    const { localHandovers, backend } = parts.engine
    const { fencing, maxFences = Infinity } = backend.capabilities
    this.parts = parts
    this.handovers = fencing ? Math.max(0, Math.min(localHandovers, maxFences - 1)) : localHandovers
    this.#watchdog = watchdog
  }

  /** Waits for a lock. */
  async acquire(target: LockTarget, settings: AcquireSettings): Promise<HeldLease> {
    const { signal, waitMs } = settings
    if (signal?.aborted) throw new OncewardError('ABORTED', undefined, { cause: signal.reason })
    if (waitMs === 0) {
      const lease = await this.tryAcquire(target, settings)
      if (lease) return lease
      throw timeoutError(target.key, 0)
    }
    if (target.mode === 'exclusive' && settings.fair) return this.#queueOf(target).enter(settings).lease
    const queue = new LocalQueue(this, target, !settings.fair)
    this.#aside.add(queue)
    return queue.enter(settings).lease
  }

  /** Asks once. */
  async tryAcquire(target: LockTarget, settings: AcquireSettings): Promise<HeldLease | null> {
    const { key, mode } = target
    if (mode === 'exclusive') {
      const queue = this.#queues.get(key)
      if (queue?.holder && this.#watchdog.leftMs(queue.holder) > 0) return null
      if (settings.fair && queue && queue.waiters.size > 0) return null
    }
    const { engine, calls, sweeper } = this.parts
    const request = requestOf(this, target, engine.random.nonce(), settings)
    const sentAt = readClock(engine)
    try {
      const reply = await calls.run((backend) => backend.acquire(request), {
        late: () => this.parts.strayToken(request),
      })
      const grant = reply.granted ? this.admit({ request, sentAt, reply, doubtMs: Infinity }) : undefined
      if (this.#closed) throw this.#closed
      return grant ? this.lease(grant, settings, sentAt.monotonic) : null
    } catch (error) {
      await sweeper.briefly(sweeper.sweep({ key, token: request.token }, settings.ttlMs))
      throw error
    }
  }

  admit({ request, sentAt, reply, doubtMs, firstMs }: Asked): Grant | undefined {
    if (!reply.granted) return undefined
    const { key, token, mode, ttlMs, meta } = request
    const { fence, mark } = reply
    const holder = mode === 'exclusive' ? this.#queues.get(key)?.holder : undefined
    const passed = fence !== undefined && holder?.fence !== undefined && fence <= holder.fence
    if (this.#closed || passed || this.#watchdog.isSpent({ ttlMs, sentAt, doubtMs, firstMs })) {
      void this.parts.sweeper.sweep({ key, token }, ttlMs)
      return undefined
    }
    const { handovers } = this
    const terms = { mode, fence, mark, ttlMs, meta, sentAt, handovers, doubtMs, firstMs }
    return this.take({ held: { key, token }, ...terms })
  }

  /** Takes a grant in. */
  take(terms: GrantTerms): Grant {
    const grant = this.#watchdog.keep(terms)
    if (grant.mode === 'exclusive') {
      const queue = this.#queueOf({ key: grant.held.key, mode: 'exclusive', permits: 1 })
      const { holder } = queue
      queue.holder = grant
      if (holder) this.#watchdog.lose(holder, 'was granted anew, so it had been lost before')
    }
    return grant
  }

  hand(grant: Grant, waiter: Waiter): void {
    waiter.resolve(this.lease(grant, waiter.settings, waiter.since))
  }

  adapt(queue: LocalQueue, grant: Grant): void {
    this.#adapt(queue, grant).catch(() => this.sweep(grant))
  }

  /** Makes the lease that a grant carries from now on. */
  lease(grant: Grant, settings: AcquireSettings, since: number): HeldLease {
    const lease = new HeldLease(this, grant, settings)
    grant.lease = lease
    this.#watchdog.renew(grant)
    const { fence } = grant
    const durationMs = this.now() - since
    this.parts.engine.emit('acquired', lease.key, { durationMs, ...(fence === undefined ? {} : { fence }) })
    return lease
  }

  /** Gives a lease back, or its grant to the next one in this process. @throws `STORE_UNAVAILABLE` (effect unknown). */
  async finish(lease: HeldLease): Promise<Released> {
    const { grant, fence, key } = lease
    const durationMs = lease.heldMs()
    try {
      const released = await (grant.lease === lease ? this.#end(grant) : this.#giveBack(grant))
      this.parts.engine.emit('released', key, { durationMs, ...(fence === undefined ? {} : { fence }) })
      return released ? 'released' : 'not-held'
    } catch (cause) {
      const { backend } = this.parts.engine
      const message = `nobody knows whether the release of ${JSON.stringify(key)} has reached ${backend.where}; release again, or let it lapse`
      throw new OncewardError('STORE_UNAVAILABLE', message, { cause, effect: 'unknown', retryAfterMs: 1000 })
    }
  }

  /** The grant was lost: others in this process have to ask for themselves. */
  lost(grant: Grant): void {
    const queue = this.#queues.get(grant.held.key)
    if (queue?.holder !== grant) return
    queue.holder = undefined
    queue.contend()
    this.tidy(queue)
  }

  /** Somebody has taken the lock away from its holders, or from the one with the fence. */
  forced(key: string, ifFence: number | undefined): void {
    for (const grant of this.#watchdog.grants) {
      if (grant.held.key !== key || !isNamed(grant, ifFence)) continue
      this.#watchdog.lose(grant, 'was taken away by a forced release')
    }
  }

  tidy(queue: LocalQueue): void {
    if (queue.waiters.size > 0 || queue.contention) return
    this.#aside.delete(queue)
    const { key } = queue.target
    if (!queue.holder && this.#queues.get(key) === queue) this.#queues.delete(key)
  }

  leftMs(grant: Grant): number {
    return this.#watchdog.leftMs(grant)
  }

  extend(grant: Grant, ttlMs: number): Promise<boolean> {
    return this.#watchdog.extend(grant, checkTtl(this.parts.engine.backend, ttlMs))
  }

  sweep({ held, ttlMs }: Grant): void {
    void this.parts.sweeper.sweep(held, ttlMs)
  }

  briefly(work: Promise<unknown>): Promise<void> {
    return this.parts.sweeper.briefly(work)
  }

  releaseFailed({ key, fence }: HeldLease, error: unknown): void {
    this.parts.engine.emit('release-failed', key, { error, ...(fence === undefined ? {} : { fence }) })
  }

  now(): number {
    return this.parts.engine.clock.monotonic()
  }

  nonce(): string {
    return this.parts.engine.random.nonce()
  }

  /** Ends all waits with `error`. Nothing is granted any more from now on. */
  close(error: OncewardError): void {
    this.#closed = error
    for (const queue of [...this.#queues.values(), ...this.#aside])
      for (const waiter of queue.waiters) queue.leave(waiter, error)
  }

  #queueOf(target: LockTarget): LocalQueue {
    let queue = this.#queues.get(target.key)
    if (!queue) {
      queue = new LocalQueue(this, target, false)
      this.#queues.set(target.key, queue)
    }
    return queue
  }

  /** Ends the lease of a grant. Answers whether it was still held. */
  async #end(grant: Grant): Promise<boolean> {
    grant.lease = undefined
    const queue = this.#queues.get(grant.held.key)
    if (queue?.holder !== grant) return this.#giveBack(grant)
    const next = queue.contention ? undefined : queue.first?.settings
    const apt = next && !grant.shown && grant.handovers > 0 && grant.doubtMs >= next.ttlMs
    if (!apt) return this.#leave(queue, grant)
    grant.handovers--
    if (grant.fence !== undefined) grant.fence++
    const fresh = this.#watchdog.leftMs(grant) >= FRESH_PART * Math.min(next.ttlMs, grant.firstMs ?? Infinity)
    if (!fresh || !suits(grant, next)) return this.#adapt(queue, grant)
    queue.deliver(grant)
    return true
  }

  /** Extends a grant as the next one in this process wants it, and hands it over. Answers whether it was still held. */
  async #adapt(queue: LocalQueue, grant: Grant): Promise<boolean> {
    const next = queue.first?.settings
    // What people see of the holder can be replaced, but not taken away.
    if (!next || (grant.meta !== undefined && next.meta === undefined)) return this.#leave(queue, grant)
    this.#watchdog.renew(grant)
    let kept: boolean
    try {
      kept = await this.#watchdog.extend(grant, next.ttlMs, next.meta)
    } catch {
      return this.#leave(queue, grant)
    }
    if (kept) queue.deliver(grant)
    return kept
  }

  /** Gives a grant back to the backend, and lets the next one in this process ask for its own. */
  async #leave(queue: LocalQueue, grant: Grant): Promise<boolean> {
    this.#watchdog.end(grant)
    if (queue.holder === grant) queue.holder = undefined
    if (queue.first && !queue.contention) return queue.giveBackAndContend(grant)
    this.tidy(queue)
    return this.#giveBack(grant)
  }

  async #giveBack(grant: Grant): Promise<boolean> {
    this.#watchdog.end(grant)
    const { released } = await this.parts.calls.run((backend) => backend.release(grant.held))
    return released
  }
}

/** Whether a forced release that took effect has hit the grant. A later grant has greater fences. */
function isNamed({ mode, fence, firstFence = 0 }: Grant, ifFence: number | undefined): boolean {
  if (ifFence === undefined || fence === ifFence) return true
  // Of one who holds alone the backend knows the fences of all leases that the grant carries.
  return mode === 'exclusive' && firstFence <= ifFence
}
