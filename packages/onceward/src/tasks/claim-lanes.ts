import { backOffMs } from '../core/back-off.ts'
import type { Clock, Random } from '../core/clock.ts'
import { isOncewardError } from '../core/errors.ts'
import { jittered } from '../core/jittered.ts'
import { nextTurn } from '../core/next-turn.ts'
import type { Wakeable } from './wakeable.ts'

/** What claiming needs. */
export interface ClaimLaneParts {
  readonly clock: Clock
  readonly random: Random
  readonly wake: Wakeable
  readonly leaseMs: number
  readonly pollMs: number
  /** The most tasks of one claim. */
  readonly most: number
  /** Whether two claims may be on their way at the same time. */
  readonly isDouble: boolean
  /** How many more tasks the worker may have, not counting those that are asked for already. */
  free(): number
  /** Whether places will be free in a moment: ends are on their way. */
  isEnding(): boolean
  /** Takes tasks and begins them; answers how many it was given. */
  claim(most: number): Promise<number>
  /** Gives back what was given in an answer that was lost. */
  giveBackStrays(): Promise<void>
  trouble(error: unknown): void
  isStopping(): boolean
}

/** The longest pause after a call of the database failed, in ms. */
const MAX_TROUBLE_PAUSE_MS = 5000

/**
 * Claims again and again, until the worker stops. One lane looks for work; a second one claims too as long as there is more
 * than one claim takes, so that the database and this process work at the same time and not in turns.
 */
export async function claimLanes(parts: ClaimLaneParts): Promise<void> {
  const { clock, random, wake, leaseMs, pollMs, isStopping } = parts
  let asked = 0
  let claims = 0
  let troubles = 0
  /** Whether the latest claim was given all that it asked for. */
  let isPlenty = false
  /** Until when an answer to a claim may be missing, on the monotonic clock. */
  let strayUntil = 0

  /** How many to ask for; 0 for none yet: a few places are not worth a call, if there will be more in a moment. */
  const room = (): number => {
    const most = Math.min(parts.free() - asked, parts.most)
    const isSmall = most < parts.most / 2 && (claims > 0 || parts.isEnding())
    return isSmall ? 0 : Math.max(0, most)
  }
  /** Answers whether it was given all that it asked for. */
  const claim = async (most: number): Promise<boolean> => {
    asked += most
    claims++
    let isFull = false
    try {
      isFull = (await parts.claim(most)) === most
      troubles = 0
    } catch (error) {
      strayUntil = clock.monotonic() + 2 * leaseMs
      throw error
    } finally {
      isPlenty = isFull
      asked -= most
      claims--
    }
    if (!isFull) return false
    // There is more: the other lane may claim too. Handlers that end at once are counted first.
    wake.soon()
    await nextTurn()
    return true
  }
  const first = async (): Promise<void> => {
    while (!isStopping()) {
      const mayHaveStrays = clock.monotonic() < strayUntil
      const most = mayHaveStrays && claims > 0 ? 0 : room()
      if (most === 0) {
        await wake.next()
        continue
      }
      let heard: ReturnType<Wakeable['listen']> | undefined
      try {
        if (mayHaveStrays) {
          // Nothing may be on its way meanwhile that could be taken for a stray.
          isPlenty = false
          await parts.giveBackStrays()
        }
        // From before the claim on: what comes while it is on its way may have come too late for it.
        heard = wake.listen()
        if (await claim(most)) heard.leave()
        else await heard.orAfter(jittered(random, pollMs, 0.2))
      } catch (error) {
        heard?.leave()
        parts.trouble(error)
        if (isStopping() || isOncewardError(error, 'CLOSED')) return
        const pauseMs = backOffMs({ initialMs: pollMs, maxMs: MAX_TROUBLE_PAUSE_MS }, troubles++)
        await wake.listen().orAfter(jittered(random, pauseMs))
      }
    }
  }
  /** Never looks by itself: where it does not claim, it waits for the first to have claimed. */
  const second = async (): Promise<void> => {
    while (!isStopping()) {
      const most = isPlenty && clock.monotonic() >= strayUntil ? room() : 0
      if (most === 0) await wake.next()
      else {
        await claim(most).catch(parts.trouble)
        // The first may wait for what this one has asked for to come back.
        wake.soon()
      }
    }
  }
  await Promise.all(parts.isDouble ? [first(), second()] : [first()])
}
