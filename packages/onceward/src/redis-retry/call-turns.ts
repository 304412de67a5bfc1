import { isOncewardError } from '../core/errors.ts'
import { failure } from '../drivers/redis/index.ts'
import type { InFlight } from './in-flight.ts'
import type { RetryEvents } from './retry-events.ts'

/** Runs the calls of one wrapper, each in its turn. */
export interface CallTurns {
  /** How many there were. */
  readonly calls: number
  /**
   * Runs a call in its turn, and tells if its end is unknown. `begun`: when it was asked for, on our monotonic clock in
   * ms.
   *
   * @throws `CLOSED` (effect none) after `close`.
   */
  run<T>(name: string, call: (begun: number) => Promise<T>): Promise<T>
  /** Takes no more calls, and resolves when those that were taken have ended. */
  close(): Promise<void>
}

/** Makes the turns, of which nothing was taken yet. */
export function callTurns(flight: InFlight, events: RetryEvents, monotonic: () => number): CallTurns {
  let calls = 0
  let closed = false
  const onIdle: (() => void)[] = []
  return {
    get calls() {
      return calls
    },
    async run(name, call) {
      if (closed) throw failure('CLOSED', 'this wrapper was closed')
      calls++
      const begun = monotonic()
      const turn = flight.enter()
      if (turn !== undefined) await turn
      try {
        return await call(begun)
      } catch (error) {
        if (isOncewardError(error, 'AMBIGUOUS_RESULT')) events.ambiguous(name, error)
        throw error
      } finally {
        flight.leave()
        if (closed && flight.running === 0) for (const resolve of onIdle.splice(0)) resolve()
      }
    },
    async close() {
      closed = true
      if (flight.running > 0) await new Promise<void>((resolve) => onIdle.push(resolve))
    },
  }
}
