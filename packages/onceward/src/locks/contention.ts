import { backOffMs } from '../core/back-off.ts'
import { isLasting, isOncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { type Reading, readClock, sinceMs } from '../core/lease-clock.ts'
import { Alarm } from './alarms.ts'
import type { AcquireReply, AcquireRequest, HeldLock, PlaceGrant } from './lock-backend.ts'
import type { LockParts } from './lock-parts.ts'

/** A question and its answer. */
export interface Asked {
  readonly request: AcquireRequest
  readonly sentAt: Reading
  readonly reply: AcquireReply
  /** The shortest time that was asked for with this token by a request of which nobody knows what became. */
  readonly doubtMs: number
  /** For how long the backend keeps the grant until it is extended, where that is not the request's `ttlMs`. */
  readonly firstMs?: number | undefined
}

/** For whom a contention asks. */
export interface Contender {
  /**
   * What to ask for, for whoever is first now.
   *
   * @param round - Which asking with this token it is.
   * @param told - Whether a wake can tell of a grant.
   */
  request(token: string, round: number, told: boolean): AcquireRequest
  /** @returns false when the grant is worth nothing and another has to be asked for. */
  granted(asked: Asked & { readonly reply: { readonly granted: true } }): boolean
  /** Others hold it. */
  refused(): void
  /** The backend will not answer otherwise. */
  failed(error: unknown): void
}

/** How long one who is woken waits at most before asking again, in ms, before jitter: a wake can be lost. */
const SAFETY_POLL_MS = 1_500

/** Pauses of one who is not woken. */
const POLLS = { initialMs: 25, maxMs: 250, factor: 1.5 }

/** Pauses after failures. */
const RETRIES = { initialMs: 50, maxMs: 1_000 }

/**
 * How long a place is kept without being renewed, in ms: about three safety polls, so that it outlives two questions that
 * fail; and no longer, since those behind a process that died wait for it.
 */
export const PLACE_MS = 6_000

/** Asks the backend for one lock until it is granted, or nobody wants it any more. One token throughout. */
export class Contention {
  readonly #parts: LockParts
  readonly #contender: Contender
  readonly #key: string
  #held: HeldLock
  #over = false
  #underWay: Promise<unknown> | undefined
  #stopWatching: (() => void) | undefined
  #woken = false
  #wake: (() => void) | undefined
  #polls = 0
  /** Since the last answer. */
  #retries = 0
  #doubtMs = Infinity
  /** For how long the backend may keep at most what it was asked for. */
  #keptMs = PLACE_MS
  #round = 0
  /** What was refused last: the place has been kept since. */
  #waiting: Asked | undefined
  /** The grant that the last wake has told of. */
  #granted: PlaceGrant | undefined
  /** What the last question failed with; absent when it was answered. */
  error: unknown
  /** What the last refusal said. */
  retryAfterMs: number | undefined

  constructor(parts: LockParts, contender: Contender, key: string) {
    this.#parts = parts
    this.#contender = contender
    this.#key = key
    this.#held = { key, token: parts.engine.random.nonce() }
  }

  /** Asks until there is an answer that ends it. Never rejects. */
  async run(first?: Asked): Promise<void> {
    try {
      let asked = first
      while (!this.#over) {
        asked ??= this.#grantOfPlace() ?? (await this.#ask())
        if (this.#over) return
        if (!asked) await this.#pause(this.#retryPauseMs())
        else if (asked.reply.granted) {
          if (this.#contender.granted({ ...asked, reply: asked.reply })) return
          // The token was swept and must not come back.
          this.#stop()
          this.#over = false
          this.#held = { key: this.#key, token: this.#parts.engine.random.nonce() }
          this.#doubtMs = Infinity
          this.#waiting = undefined
          await this.#pause(this.#retryPauseMs())
        } else await this.#refused(asked)
        asked = undefined
      }
    } catch (error) {
      if (!this.#over) this.#contender.failed(error)
    }
  }

  /** Releases a grant, and asks in the same step. @throws what the backend throws; the asking goes on. */
  async runAfterRelease(held: HeldLock): Promise<boolean> {
    // A wake cannot be missed when the watch comes before the place.
    this.#watch()
    const request = this.#request()
    const sentAt = readClock(this.#parts.engine)
    const call = this.#parts.calls.run((backend) => backend.release(held, request), {
      late: () => this.#lateAnswer(request),
    })
    this.#underWay = call
    let asked: Asked | undefined
    try {
      const { released, next } = await call
      if (next) asked = { request, sentAt, reply: next, doubtMs: this.#doubtMs }
      return released
    } catch (error) {
      this.#doubtMs = request.ttlMs
      throw error
    } finally {
      void this.run(asked)
    }
  }

  /** Ends it because the lock was granted. */
  end(): void {
    this.#stop()
  }

  /** Ends it because nobody wants the lock any more. Resolves when nothing is left of it. */
  abandon(): Promise<void> {
    this.#stop()
    return this.#parts.sweeper.sweep(this.#held, this.#keptMs, this.#underWay)
  }

  /** Takes the grant, or asks again, soon. */
  wake(granted?: PlaceGrant): void {
    this.#woken = true
    this.#granted = granted ?? this.#granted
    this.#wake?.()
  }

  #stop(): void {
    this.#over = true
    this.#stopWatching?.()
    this.#stopWatching = undefined
    this.#wake?.()
  }

  #request(): AcquireRequest {
    this.#round++
    const { grantsPlaces } = this.#parts.engine.backend.capabilities
    const told = grantsPlaces && this.#stopWatching !== undefined
    const request = this.#contender.request(this.#held.token, this.#round, told)
    this.#keptMs = Math.max(this.#keptMs, request.ttlMs)
    return request
  }

  async #ask(): Promise<Asked | undefined> {
    this.#woken = false
    const request = this.#request()
    const sentAt = readClock(this.#parts.engine)
    const call = this.#parts.calls.run((backend) => backend.acquire(request), {
      late: () => this.#lateAnswer(request),
    })
    this.#underWay = call
    try {
      const reply = await call
      this.error = undefined
      this.#retries = 0
      return { request, sentAt, reply, doubtMs: this.#doubtMs }
    } catch (error) {
      this.error = error
      this.#doubtMs = Math.min(this.#doubtMs, request.ttlMs)
      // With the same token the question may be asked again: if it was granted and the reply lost, it is told so then.
      if (!isOncewardError(error) || isLasting(error)) {
        if (!this.#over) this.#contender.failed(error)
      }
      return undefined
    } finally {
      this.#underWay = undefined
    }
  }

  /**
   * The grant that the place has become, if a wake has told of it.
   *
   * ```
   *  sent ──▶ place taken ─────── becomes the grant ─────▶ ends there after ttlMs, or as the place would have
   *   └────── the lesser of ttlMs and placeMs − drift ──▶ own deadline
   * ```
   *
   * So it has to be this place, of the request whose sending time is known: an older one may have ended sooner. Where much of
   * that time is gone, it is asked again: the answer is a grant of the whole time.
   */
  #grantOfPlace(): Asked | undefined {
    const granted = this.#granted
    const waiting = this.#waiting
    this.#granted = undefined
    if (!granted || !waiting || waiting.request.round !== granted.round) return undefined
    const { ttlMs, placeMs = 0 } = waiting.request
    const firstMs = Math.min(ttlMs, placeMs)
    if (sinceMs(this.#parts.engine, waiting.sentAt) > firstMs / 2) return undefined
    const { fence, mark } = granted
    this.#woken = false
    return {
      ...waiting,
      reply: { granted: true, fence, ...(mark === undefined ? {} : { mark }) },
      doubtMs: this.#doubtMs,
      firstMs,
    }
  }

  /** An answer that nobody waits for any more may have been a grant. */
  #lateAnswer({ key, token }: AcquireRequest): void {
    if (this.#over || this.#held.token !== token) this.#parts.strayToken({ key, token })
  }

  async #refused(asked: Asked): Promise<void> {
    const { request, reply } = asked
    if (reply.granted) return
    this.#waiting = asked
    this.retryAfterMs = reply.retryAfterMs
    this.#contender.refused()
    const { random } = this.#parts.engine
    // It may have become free between the answer and a watch that begins now.
    if (request.placeMs !== undefined && this.#watch()) return
    if (this.#stopWatching) {
      // Half a second either way: whoever is not woken must not come back in step with the others.
      await this.#pause(Math.min(jittered(random, SAFETY_POLL_MS, 1 / 3), reply.retryAfterMs + 1))
      return
    }
    const pauseMs = jittered(random, backOffMs(POLLS, this.#polls++), 0.25)
    await this.#pause(Math.min(pauseMs, reply.retryAfterMs + 1))
  }

  /** Begins to watch the place, if it is not watched yet and can be. */
  #watch(): boolean {
    const { backend } = this.#parts.engine
    if (this.#stopWatching || !backend.watch || !backend.capabilities.push) return false
    try {
      this.#stopWatching = backend.watch(this.#held, (granted) => this.wake(granted))
      return true
    } catch {
      // Who cannot be woken looks again now and then.
      return false
    }
  }

  #retryPauseMs(): number {
    return jittered(this.#parts.engine.random, backOffMs(RETRIES, this.#retries++))
  }

  /** Waits for `ms`, for a wake, or for the end. */
  #pause(ms: number): Promise<void> {
    if (this.#woken || this.#over) return Promise.resolve()
    const { waits, engine } = this.#parts
    return new Promise((resolve) => {
      const end = () => {
        waits.clear(alarm)
        this.#wake = undefined
        resolve()
      }
      const alarm = new Alarm(end)
      this.#wake = end
      waits.set(alarm, engine.clock.monotonic() + ms)
    })
  }
}
