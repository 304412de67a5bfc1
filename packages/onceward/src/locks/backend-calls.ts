import type { Clock } from '../core/clock.ts'
import { OncewardError } from '../core/errors.ts'
import { Alarm, type Alarms } from './alarms.ts'
import type { LockBackend } from './lock-backend.ts'

/** For how long an answer of the backend is waited for, in ms. */
const ANSWER_MS = 5_000

/** How a call is waited for. */
export interface CallOptions<T> {
  /** Default 5,000. */
  readonly ms?: number
  /** Is told when the answer (or, without one, the failure) comes after that. */
  readonly late?: (answer: T | undefined) => void
}

/** Calls a backend that may fail at once, late or never. */
export class BackendCalls {
  readonly #clock: Clock
  readonly #alarms: Alarms
  readonly #backend: LockBackend
  /** Of those that have not been answered and are still waited for: how to end them. */
  readonly #underWay = new Set<(error: unknown) => void>()
  #idle: (() => void)[] = []
  #stopped: Error | undefined

  constructor(clock: Clock, alarms: Alarms, backend: LockBackend) {
    this.#clock = clock
    this.#alarms = alarms
    this.#backend = backend
  }

  /**
   * Starts a call and waits for its answer, but not for ever.
   *
   * @throws `STORE_UNAVAILABLE` (effect none) when there is no answer in time; whatever the backend throws.
   */
  run<T>(
    call: (backend: LockBackend) => Promise<T>,
    { ms = ANSWER_MS, late }: CallOptions<T> = {},
  ): Promise<T> {
    if (this.#stopped) return Promise.reject(this.#stopped)
    return new Promise((resolve, reject) => {
      let waiting = true
      const end = () => {
        waiting = false
        this.#alarms.clear(alarm)
        this.#underWay.delete(fail)
        if (this.#underWay.size === 0 && this.#idle.length > 0) this.#tellIdle()
      }
      const fail = (error: unknown) => {
        end()
        reject(error)
      }
      const alarm = new Alarm(() => {
        const message = `${this.#backend.where} did not answer within ${Math.round(ms)} ms; see whether it is up`
        fail(new OncewardError('STORE_UNAVAILABLE', message, { retryAfterMs: 1000 }))
      })
      this.#underWay.add(fail)
      this.#alarms.set(alarm, this.#clock.monotonic() + ms)
      started(call, this.#backend).then(
        (answer) => {
          if (!waiting) return late?.(answer)
          end()
          resolve(answer)
        },
        (error: unknown) => {
          if (waiting) fail(error)
          else late?.(undefined)
        },
      )
    })
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    if (this.#underWay.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#idle.push(resolve)
    })
  }

  /** Waits for no answer any more, and calls nothing any more. */
  stop(error: Error): void {
    this.#stopped = error
    for (const fail of this.#underWay) fail(error)
  }

  #tellIdle(): void {
    for (const resolve of this.#idle) resolve()
    this.#idle = []
  }
}

/** A backend of somebody else's may throw before it answers with a promise. */
function started<T>(call: (backend: LockBackend) => Promise<T>, backend: LockBackend): Promise<T> {
  try {
    return call(backend)
  } catch (error) {
    return Promise.reject(error)
  }
}
