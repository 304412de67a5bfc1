import { failure } from '../drivers/redis/index.ts'
import type { TimeLimits } from './time-limits.ts'

/** Bounds what is on its way at once. */
export interface InFlight {
  /**
   * Resolves when it is this one's turn: at once while fewer than the most are on their way.
   *
   * @throws `STORE_UNAVAILABLE` (effect none) when too many wait, or when its turn did not come in time.
   */
  enter(): Promise<void> | undefined
  leave(): void
  readonly running: number
  readonly waiting: number
}

/** What {@link inFlight} is made of. */
export interface InFlightSettings {
  readonly most: number
  readonly mostWaiting: number
  /** How long one may wait for its turn, in ms. */
  readonly waitMs: number
  readonly limits: TimeLimits
}

/** Lets `most` in, and `mostWaiting` wait in the order in which they came. */
export function inFlight({ most, mostWaiting, waitMs, limits }: InFlightSettings): InFlight {
  let waiting: (() => void)[] = []
  let next = 0
  let running = 0
  return {
    enter() {
      if (running < most) {
        running++
        return undefined
      }
      if (waiting.length - next >= mostWaiting) {
        throw failure(
          'STORE_UNAVAILABLE',
          `${running} commands are on their way and ${mostWaiting} wait; send fewer at once, or raise maxWaiting`,
        )
      }
      return new Promise((resolve, reject) => {
        const turn = () => {
          cancel()
          resolve()
        }
        const cancel = limits.after(waitMs, () => {
          waiting.splice(waiting.indexOf(turn, next), 1)
          reject(
            failure(
              'STORE_UNAVAILABLE',
              `${running} commands were on their way for ${waitMs} ms and this one was not sent; send fewer at once, or raise maxInFlight`,
            ),
          )
        })
        waiting.push(turn)
      })
    },
    leave() {
      const turn = waiting[next]
      if (turn === undefined) {
        running--
        return
      }
      next++
      if (next === waiting.length || next > 1024) {
        waiting = waiting.slice(next)
        next = 0
      }
      turn()
    },
    get running() {
      return running
    },
    get waiting() {
      return waiting.length - next
    },
  }
}
