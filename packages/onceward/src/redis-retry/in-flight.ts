import { failure } from '../drivers/redis/index.ts'

/** Bounds what is on its way at once. */
export interface InFlight {
  /** Resolves when it is this one's turn: at once while fewer than the most are on their way. @throws `STORE_UNAVAILABLE` when too many wait. */
  enter(): Promise<void> | undefined
  leave(): void
  readonly running: number
  readonly waiting: number
}

/** Lets `most` in, and `mostWaiting` wait in the order in which they came. */
export function inFlight(most: number, mostWaiting: number): InFlight {
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
      return new Promise((resolve) => {
        waiting.push(resolve)
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
