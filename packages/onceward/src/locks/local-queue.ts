import { OncewardError } from '../core/errors.ts'
import { type Asked, type Contender, Contention, PLACE_MS } from './contention.ts'
import type { Grant } from './grant.ts'
import type { AcquireRequest, LockMode } from './lock-backend.ts'
import type { AcquireSettings } from './lock-options.ts'
import type { LockParts } from './lock-parts.ts'
import { type WaitEnd, Waiter } from './waiter.ts'

/** From how many ms on a wait without any answer is the backend's fault; a shorter one may just have been too short. */
const SLOW_MS = 500

/** What is asked for. */
export interface LockTarget {
  readonly key: string
  readonly mode: LockMode
  readonly permits: number
}

/** What a queue needs of the queues. */
export interface QueueHome {
  readonly parts: LockParts
  /** How often a grant may be handed over. */
  readonly handovers: number
  /** Takes in what was granted; absent when it is worth nothing. */
  admit(asked: Asked): Grant | undefined
  /** Makes a lease of the grant for the caller. */
  hand(grant: Grant, waiter: Waiter): void
  /** Extends the grant for whoever comes first now, and hands it over. */
  adapt(queue: LocalQueue, grant: Grant): void
  /** The queue may have become empty. */
  tidy(queue: LocalQueue): void
}

/**
 * Those in this process who wait for one lock, the first one first. However many they are, one contention asks the backend for
 * all of them.
 */
export class LocalQueue implements Contender {
  readonly target: LockTarget
  readonly waiters: Set<Waiter> = new Set()
  /** The grant of this key that this process holds alone. */
  holder: Grant | undefined
  /** Asks the backend just now. */
  contention: Contention | undefined
  readonly #home: QueueHome
  readonly #overtake: boolean

  /**
   * @param overtake - Asks past those who have a place. Only the first question is without one: in a long line whoever has
   * none would never have its turn.
   */
  constructor(home: QueueHome, target: LockTarget, overtake: boolean) {
    this.#home = home
    this.target = target
    this.#overtake = overtake
  }

  get first(): Waiter | undefined {
    return this.waiters.values().next().value
  }

  /** Adds a caller. */
  enter(settings: AcquireSettings): Waiter {
    const { engine, waits, aborts } = this.#home.parts
    const waiter = new Waiter(settings, engine.clock.monotonic(), waits, aborts, (leaving, why) =>
      this.leave(leaving, this.#endOf(leaving, why)),
    )
    this.waiters.add(waiter)
    if (!this.holder && !this.contention) this.contend()
    else this.#tell(waiter)
    return waiter
  }

  /** Lets a caller go with `error`. The last one waits until its request is undone, but not for long. */
  leave(waiter: Waiter, error: unknown): void {
    if (!this.waiters.delete(waiter)) return
    waiter.end()
    const { contention } = this
    if (this.waiters.size > 0 || !contention) {
      waiter.reject(error)
      this.#home.tidy(this)
      return
    }
    this.contention = undefined
    this.#home.tidy(this)
    void this.#home.parts.sweeper.briefly(contention.abandon()).then(() => waiter.reject(error))
  }

  /** Begins to ask the backend, if somebody waits and nobody asks yet. */
  contend(): void {
    if (this.contention || this.waiters.size === 0) return
    this.contention = new Contention(this.#home.parts, this, this.target.key)
    void this.contention.run()
  }

  /** Gives a grant back, and asks for the next one in the same step. */
  giveBackAndContend(grant: Grant): Promise<boolean> {
    this.contention = new Contention(this.#home.parts, this, this.target.key)
    return this.contention.runAfterRelease(grant.held)
  }

  /** Gives a grant to whoever is first now. */
  deliver(grant: Grant): void {
    const { first } = this
    if (first && suits(grant, first.settings)) {
      this.waiters.delete(first)
      this.#home.hand(grant, first)
      this.#home.tidy(this)
    } else this.#home.adapt(this, grant)
  }

  request(token: string, round: number, told: boolean): AcquireRequest {
    const settings = this.first?.settings
    if (!settings) throw new Error('nobody waits')
    const asked = requestOf(this.#home, this.target, token, settings)
    if (this.#overtake && round === 1) return asked
    return { ...asked, placeMs: PLACE_MS, ...(told && asked.mode === 'exclusive' ? { round } : {}) }
  }

  granted(asked: Asked): boolean {
    const grant = this.#home.admit(asked)
    if (!grant) return false
    this.contention?.end()
    this.contention = undefined
    this.deliver(grant)
    return true
  }

  refused(): void {
    const { first } = this
    if (first) this.#tell(first)
  }

  failed(error: unknown): void {
    const { contention } = this
    this.contention = undefined
    const undone = contention?.abandon() ?? Promise.resolve()
    const waiters = [...this.waiters]
    this.waiters.clear()
    for (const waiter of waiters) waiter.end()
    this.#home.tidy(this)
    void this.#home.parts.sweeper.briefly(undone).then(() => {
      for (const waiter of waiters) waiter.reject(error)
    })
  }

  #tell(waiter: Waiter): void {
    if (!waiter.told) this.#home.parts.engine.emit('waiting', this.target.key)
    waiter.told = true
  }

  #endOf({ settings, since }: Waiter, why: WaitEnd): unknown {
    const { signal, waitMs } = settings
    if (why === 'aborted') return new OncewardError('ABORTED', undefined, { cause: signal?.reason })
    // Nobody knows whether others hold it: the backend could not be asked.
    if (this.contention?.error !== undefined) return this.contention.error
    const { engine } = this.#home.parts
    if (this.contention && this.contention.retryAfterMs === undefined && waitMs >= SLOW_MS) {
      const message = `${engine.backend.where} did not answer within ${waitMs} ms; see whether it is up`
      return new OncewardError('STORE_UNAVAILABLE', message, { retryAfterMs: 1000 })
    }
    const durationMs = engine.clock.monotonic() - since
    engine.emit('timed-out', this.target.key, { durationMs })
    return timeoutError(this.target.key, waitMs, this.contention?.retryAfterMs)
  }
}

/** What is thrown after a wait in vain. */
export function timeoutError(key: string, waitMs: number, retryAfterMs: number = 1000): OncewardError {
  const name = JSON.stringify(key)
  const message = `others held the lock ${name} for all of ${waitMs} ms; locks.inspect(${name}) shows who`
  return new OncewardError('LOCK_TIMEOUT', message, { retryAfterMs })
}

/** The request for one caller, without a place. */
export function requestOf(
  { parts: { engine }, handovers }: Pick<QueueHome, 'parts' | 'handovers'>,
  { key, mode, permits }: LockTarget,
  token: string,
  { ttlMs, meta, fair }: AcquireSettings,
): AcquireRequest {
  const reserves = handovers > 0 && mode === 'exclusive' && engine.backend.capabilities.fencing
  return {
    key,
    token,
    mode,
    permits,
    ttlMs,
    owner: engine.owner,
    ...(meta === undefined ? {} : { meta }),
    ...(fair ? {} : { overtake: true }),
    ...(reserves ? { fences: handovers + 1 } : {}),
  }
}

/** Whether a grant is as the caller wants it, and stays so, without asking the backend. */
export function suits({ ttlMs, meta, extension }: Grant, wanted: AcquireSettings): boolean {
  // What the holder before has asked for by hand may be answered yet.
  const next = extension?.ttlMs ?? ttlMs
  return ttlMs === wanted.ttlMs && next === wanted.ttlMs && meta === wanted.meta
}
